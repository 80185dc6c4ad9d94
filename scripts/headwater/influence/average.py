"""Scores of several checkpoints as one: each row's mean over those before it.

Influence is local in training time and can flip its sign while a head forms. A row is
scored at every point of the window that it is trained after, and those scores are
averaged, as TracIn (Pruthi et al. 2020) does over checkpoints.
"""

import numpy as np
from jaxtyping import Float, Float32, Shaped


class Average:
    """The mean score of some rows.

    Attributes:
        losses: summed loss of each row at the last point before it, nats.
    """

    def __init__(self, rows: int, targets: int) -> None:
        self._sums = np.zeros((rows, targets))
        self._counts = np.zeros(rows, np.int64)
        self.losses: Float32[np.ndarray, " rows"] = np.zeros(rows, np.float32)

    def add(
        self,
        rows: slice | Shaped[np.ndarray, " picked"],
        scores: Float[np.ndarray, "_some targets"],
        losses: Float[np.ndarray, " _some"] | None = None,
    ) -> None:
        """Add one point's scores; earlier points first.

        Args:
            rows: which rows were scored there.
            scores: of these rows.
            losses: of the rows at this checkpoint, nats; 0 if left out.
        """
        self._sums[rows] += scores
        self._counts[rows] += 1
        if losses is not None:
            self.losses[rows] = losses

    @property
    def scores(self) -> Float32[np.ndarray, "rows targets"]:
        """Mean scores."""
        assert self._counts.min(initial=1) > 0, "a row without a score"
        return (self._sums / self._counts[:, None]).astype(np.float32)


def within(rows: range, part: range) -> slice:
    """A stretch of a part, counted from the part's first row."""
    return slice(rows.start - part.start, rows.stop - part.start)
