"""Exact scores of some rows and of their tokens, on the scale of the stored ones.

The rows may be the user's own and never trained on: they are passed through the
window's checkpoints, and their gradients multiplied as those of any row are.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64

from headwater.gradients.passes import PassOptions
from headwater.influence.average import PointScores, mean_scores
from headwater.influence.query import Answer, Experiment
from headwater.influence.scores import stream_scores, token_scores
from headwater.progress import Progress

Rows = Sequence[Int64[np.ndarray, " _tokens"]]


def score_rows(
    experiment: Experiment, answer: Answer, rows: Rows
) -> tuple[Float32[np.ndarray, " rows"], Float32[np.ndarray, " rows"]]:
    """Scores of rows that belong to no step: at all of the window's checkpoints.

    Args:
        answer: to the question; it gives the scale.
        rows: token ids of each, of any lengths that the model takes.

    Returns:
        (scores, losses in nats, summed over tokens, at the last checkpoint).

    Raises:
        HeadwaterError: a score is not finite; the row is named, counted from 1.
    """
    points = experiment.points()
    found = PointScores(len(rows), 1, len(points))
    progress = Progress("exact scores", len(rows) * len(points), "rows")
    for number, (point, _) in enumerate(points):
        model, factors = experiment.model(point)
        products = [answer.products[number]]
        for some, tokens in _by_length(rows):
            options = _options(experiment, some)
            own = stream_scores(model, tokens, factors, products, options, progress)
            found.add(number, some, *own)
    return mean_scores(found.scores[:, 0], answer.factors), found.losses


def token_parts(
    experiment: Experiment,
    answer: Answer,
    rows: Rows,
    numbers: Sequence[int] | None = None,
) -> list[Float32[np.ndarray, " _places"]]:
    """Each token's part of the exact score of its row, see `scores.token_scores`.

    The last token is only predicted, and has none.

    Args:
        answer: to the question; it gives the scale.
        rows: token ids of each.
        numbers: global ones of rows of the window, which are scored at the checkpoints
            that they are trained after; None for rows that belong to no step.
    """
    points = experiment.points()
    parts = [np.full((len(row) - 1, len(points)), np.nan, np.float32) for row in rows]
    for number, (point, step) in enumerate(points):
        model, factors = experiment.model(point)
        product = answer.products[number]
        for some, tokens in _by_length(rows):
            scored = np.ones(len(some), bool)
            if numbers is not None:
                places = np.array(numbers)[some] - experiment.window.first
                scored = experiment.window.is_after(step, places)
            if not scored.any():
                continue
            options = _options(experiment, some[scored])
            own = token_scores(model, tokens[scored], factors, product, options)
            for row, values in zip(some[scored], own, strict=True):
                parts[row][:, number] = values
    return [mean_scores(one, answer.factors) for one in parts]


def _options(experiment: Experiment, some: np.ndarray) -> PassOptions:
    size = experiment.config["gradients"]["batch_size"]
    return PassOptions(size, numbers=some + 1)


def _by_length(rows: Rows) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Rows that have one length: their numbers from 0, and tokens [rows, length]."""
    lengths = np.array([len(row) for row in rows])
    for length in np.unique(lengths).tolist():
        some = np.flatnonzero(lengths == length)
        yield some, torch.from_numpy(np.stack([rows[int(i)] for i in some]))
