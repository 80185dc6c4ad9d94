"""The trainings of the window that smoothed derivatives go back through.

A metagradient is exact at one training, that which was made, and tells of small changes
only. Each *smoothing* asks at others, or not so far:

    segments   the training itself; F is asked at the end of each segment of steps, and
               the way back begins anew there, so no row is followed any further
    subsets    each draw leaves out a random half of the rows: the mean effect of a row
               in the company of others, as datamodels define it
    path       all rows at weight a, for a in the middles of equal parts of 0 to 1:
               integrated gradients on the way from no row to all of them
    orders     each draw has the rows in another order; the first is the true one
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.interventions.files import ArmRows
from headwater.seeds import stable_seed

# Half, so each row is as often with the others as without them, and any two draws
# differ as much as they can.
LEFT_OUT = 0.5

SEGMENTS = "segments"  # the one that makes no training of its own
SAMPLED = ("subsets", "orders")  # at random, so a mean has a standard error


def draws_of(smoothing: str, rows: int, draws: int, seed: int) -> list[ArmRows]:
    """What each draw trains on.

    Args:
        smoothing: any but `segments`, which makes no training of its own.
        rows: of the window.
        seed: the experiment's.
    """
    make = {"subsets": _without_half, "path": _on_path, "orders": _in_order}[smoothing]
    found = []
    for draw in range(draws):
        own = stable_seed(seed, "metagradient", smoothing, draw)
        found.append(make(rows, draw, draws, np.random.default_rng(own)))
    return found


def _without_half(
    rows: int, draw: int, draws: int, generator: np.random.Generator
) -> ArmRows:
    picked = generator.choice(rows, round(LEFT_OUT * rows), replace=False)
    weights = np.ones(rows, np.float32)
    weights[picked] = 0
    return ArmRows(np.arange(rows), weights, np.sort(picked))


def _on_path(
    rows: int, draw: int, draws: int, generator: np.random.Generator
) -> ArmRows:
    weights = np.full(rows, (draw + 0.5) / draws, np.float32)
    return ArmRows(np.arange(rows), weights, np.arange(rows))


def _in_order(
    rows: int, draw: int, draws: int, generator: np.random.Generator
) -> ArmRows:
    order = generator.permutation(rows) if draw else np.arange(rows)
    return ArmRows(order, np.ones(rows, np.float32), np.arange(rows))


def check_divided(draws: Sequence[ArmRows], batch_size: int, divisor: str) -> None:
    """Refuse draws without any row in some batch, where its loss is divided by them.

    Args:
        divisor: of the batches' losses, see `Recipe`.

    Raises:
        HeadwaterError: says which draw.
    """
    for number, draw in enumerate(draws):
        empty = ~draw.weights.reshape(-1, batch_size).any(1)
        if divisor == "kept" and empty.any():
            raise HeadwaterError(
                f"metagradient_subsets: draw {number} leaves out all {batch_size} rows "
                "of a batch, by which retraining.divisor: kept divides; set it to fixed"
            )


def segment_ends(compared: Sequence[int], length: int) -> list[int]:
    """The steps at which the segments of a window end.

    A segment ends at the last step, at most `length` after its start, at which arms are
    compared with the baseline; where there is none, `length` after it. The last ends
    with the window, and may be shorter.

    Args:
        compared: those steps, from the window's start to its end.
        length: steps.
    """
    ends, reached = [], compared[0]
    while reached < compared[-1]:
        limit = min(reached + length, compared[-1])
        known = [step for step in compared if reached < step <= limit]
        reached = known[-1] if known else limit
        ends.append(reached)
    return ends


def by_row(
    scores: Float[Tensor, "targets positions"], draw: ArmRows
) -> Float[Tensor, "targets rows"]:
    """Scores by position as those of the rows that stood there."""
    found = torch.empty_like(scores)
    found[:, torch.from_numpy(draw.rows)] = scores
    return found


def mean_and_error(
    draws: Float[Tensor, "draws rows"],
) -> tuple[Float32[np.ndarray, " rows"], Float32[np.ndarray, " rows"]]:
    """Mean over draws, and its standard error by their spread."""
    values = draws.cpu().numpy().astype(np.float64)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0).astype(np.float32), error.astype(np.float32)
