"""Scores of several checkpoints as one: each row's mean over those before it.

Influence is local in training time and can flip its sign while a head forms. A row is
scored at every point of the window that it is trained after, and those scores are
averaged, as TracIn (Pruthi et al. 2020) does over checkpoints.

Scores spread wider the further a head has formed, so a plain mean would be the last
checkpoints' say. Therefore each checkpoint's scores are first brought to the root mean
square of the first's, over all rows that are scored there. The scores of one checkpoint
alone stay as they are.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Shaped


class PointScores:
    """The scores of some rows at every point of the window.

    Attributes:
        scores: NaN where a row is not scored.
        losses: summed loss of each row at the last point before it, nats.
    """

    def __init__(self, rows: int, columns: int, points: int) -> None:
        nothing = np.full((rows, columns, points), np.nan, np.float32)
        self.scores: Float32[np.ndarray, "rows columns points"] = nothing
        self.losses: Float32[np.ndarray, " rows"] = np.zeros(rows, np.float32)

    def add(
        self,
        point: int,
        rows: slice | Shaped[np.ndarray, " picked"],
        scores: Float[np.ndarray, "_some columns"],
        losses: Float[np.ndarray, " _some"] | None = None,
    ) -> None:
        """Add one point's scores; earlier points first.

        Args:
            point: its number, from 0.
            rows: which rows were scored there.
            scores: of these rows.
            losses: of the rows at this checkpoint, nats; 0 if left out.
        """
        self.scores[rows, :, point] = scores
        if losses is not None:
            self.losses[rows] = losses

    def means(self) -> Iterator[Float32[np.ndarray, " rows"]]:
        """Every column's mean scores; the rows are all of the window."""
        for column in range(self.scores.shape[1]):
            points = self.scores[:, column]
            yield mean_scores(points, point_factors(points))


def point_factors(
    scores: Float[np.ndarray, "rows points"],
) -> Float64[np.ndarray, " points"]:
    """What each point's scores are multiplied by, to have the first's mean square.

    Args:
        scores: of all rows of the window; NaN where a row is not scored.

    Returns:
        1 for the first point that has any score but 0, and for points that have none.
    """
    sizes = np.sqrt(np.nanmean(np.square(scores, dtype=np.float64), axis=0))
    first = sizes[np.argmax(sizes > 0)]
    return np.divide(first, sizes, out=np.ones_like(sizes), where=sizes > 0)


def mean_scores(
    scores: Float[np.ndarray, "*rows points"], factors: Float64[np.ndarray, " points"]
) -> Float32[np.ndarray, "*rows"]:
    """Each row's mean score over the points at which it is scored."""
    assert counted(scores).min(initial=1) > 0, "a row without a score"
    return np.asarray(np.nanmean(scores * factors, axis=-1), np.float32)


def counted(
    scores: Float[np.ndarray, "*rows points"],
) -> Int64[np.ndarray, "*rows"]:
    """At how many points each row is scored."""
    return np.asarray(np.isfinite(scores).sum(axis=-1), np.int64)


def within(rows: range, part: range) -> slice:
    """A stretch of a part, counted from the part's first row."""
    return slice(rows.start - part.start, rows.stop - part.start)
