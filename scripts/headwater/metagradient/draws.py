"""The trainings of the window that smoothed derivatives go back through.

A metagradient is exact at one training, that which was made, and tells of small changes
only. Each *smoothing* asks at others, or not so far:

    segments   the training itself; F is asked at the end of each segment of steps, and
               the way back begins anew there, so no row is followed any further
    subsets    each draw leaves out a random half of the rows, the next the other half:
               the mean effect of a row in the company of others, as of datamodels
    path       all rows at weight a, for a in the middles of equal parts of 0 to 1:
               integrated gradients on the way from no row to all of them
    orders     each draw has the rows in another order; the first is the true one
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.interventions.files import ArmRows
from headwater.seeds import stable_seed

SEGMENTS = "segments"  # the one that makes no training of its own
SAMPLED = ("subsets", "orders")  # at random, so a mean has a standard error


def draws_of(smoothing: str, rows: int, draws: int, seed: int) -> list[ArmRows]:
    """What each draw trains on.

    Args:
        smoothing: any but `segments`, which makes no training of its own.
        rows: of the window.
        seed: the experiment's.
    """
    make = {"subsets": _half, "path": _on_path, "orders": _in_order}[smoothing]
    return [make(rows, draw, draws, seed) for draw in range(draws)]


def _half(rows: int, draw: int, draws: int, seed: int) -> ArmRows:
    # Half of the rows, so that any two draws differ as much as they can; then the other
    # half, so that every row is there as often.
    order = _permutation(rows, seed, "subsets", draw // 2)
    picked = order[rows // 2 :] if draw % 2 else order[: rows // 2]
    weights = np.ones(rows, np.float32)
    weights[picked] = 0
    return ArmRows(np.arange(rows), weights, np.sort(picked))


def _on_path(rows: int, draw: int, draws: int, seed: int) -> ArmRows:
    weights = np.full(rows, (draw + 0.5) / draws, np.float32)
    return ArmRows(np.arange(rows), weights, np.arange(rows))


def _in_order(rows: int, draw: int, draws: int, seed: int) -> ArmRows:
    numbers = np.arange(rows)
    order = _permutation(rows, seed, "orders", draw) if draw else numbers
    return ArmRows(order, np.ones(rows, np.float32), numbers)


def _permutation(rows: int, seed: int, *parts: object) -> Int64[np.ndarray, " rows"]:
    own = stable_seed(seed, "metagradient", *parts)
    return np.random.default_rng(own).permutation(rows)


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
    """Scores by position as those of the rows that stood there.

    NaN where a row has no weight: nothing of its rarest tokens is in AdamW's second
    moments then, and by its derivative they would move without bound.
    """
    found = torch.empty_like(scores)
    present = torch.from_numpy(draw.weights > 0).to(scores.device)
    found[:, torch.from_numpy(draw.rows)] = scores.where(present, torch.nan)
    return found


def mean_and_error(
    draws: Float[Tensor, "draws rows"],
) -> tuple[Float32[np.ndarray, " rows"], Float32[np.ndarray, " rows"]]:
    """Mean over the draws in which a row has a score, and its standard error.

    That is by their spread, so each row must have scores in two draws at least.
    """
    values = draws.cpu().numpy().astype(np.float64)
    count = (~np.isnan(values)).sum(axis=0)
    error = np.nanstd(values, axis=0, ddof=1) / np.sqrt(count)
    return np.nanmean(values, axis=0).astype(np.float32), error.astype(np.float32)
