"""Ratios with intervals over documents: rows of one document are not independent.

What is compared is a mean over the rows of a *band*, such as the top 1 % by score, with
a mean over all rows, each with a weight. The interval is `ratio * exp(+- t s)`: s is
the standard deviation of the ratio's logarithm over 1,000 samples of the documents,
drawn with replacement (a cluster bootstrap), t Student's for as many documents as the
band can be expected to have of this feature.

A band of few rows says nothing of a rare feature: where it can be expected to have
fewer than `FEWEST` documents with it there is no interval. That rule looks at all rows,
not at the band, so that it does not favour what was found. Where a band has none, the
ratio is 0, and `high` is the bound below which Poisson's law would give some with a
chance of 97.5 %.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import sparse
from scipy.special import stdtrit  # the page does without scipy.stats, slow to import

SAMPLES, CONFIDENCE = 1000, 0.95
FEWEST = 5.0  # documents expected in a band
MOST = 20_000  # clusters; more documents are thrown together, each into one at random
_AT_ONCE = 50


@dataclass(frozen=True)
class Ratios:
    """Means in a band divided by means in the rows it is compared with, by feature.

    Attributes:
        band: mean in the band.
        reference: mean in the rows that it is compared with.
        ratio: one divided by the other; NaN where the reference is 0.
        low: of its interval; NaN where there is none.
        high: the same.
        expected: documents with the feature that the band can be expected to have.
    """

    band: Float64[np.ndarray, " features"]
    reference: Float64[np.ndarray, " features"]
    ratio: Float64[np.ndarray, " features"]
    low: Float64[np.ndarray, " features"]
    high: Float64[np.ndarray, " features"]
    expected: Float64[np.ndarray, " features"]


class Documents:
    """The documents of some rows, and the samples of them that every ratio shares.

    Args:
        owners: the document of each row, any numbers.
        seed: of the samples.
    """

    def __init__(self, owners: Int64[np.ndarray, " rows"], seed: int) -> None:
        self._seed = seed
        _, self.of_row = np.unique(owners, return_inverse=True)
        self.count = int(self.of_row.max()) + 1 if len(owners) else 0
        if self.count > MOST:
            stream = np.random.default_rng(seed)
            self.of_row = stream.integers(MOST, size=self.count)[self.of_row]
            self.count = MOST

    @cached_property
    def _drawn(self) -> np.ndarray:
        """How often each document is in each sample, uint8 [SAMPLES, documents]."""
        stream = np.random.default_rng([self._seed, 1])
        drawn = np.empty((SAMPLES, self.count), np.uint8)
        for sample in drawn:
            picked = stream.integers(self.count, size=self.count)
            sample[:] = np.bincount(picked, minlength=self.count)
        return drawn

    def sums(
        self, values: Float64[np.ndarray, "rows features"]
    ) -> Float64[np.ndarray, "documents features"]:
        """The sum over each document's rows."""
        rows = len(self.of_row)
        where = self.of_row, np.arange(rows)
        own = sparse.csr_matrix((np.ones(rows), where), shape=(self.count, rows))
        return np.asarray(own @ values, np.float64)

    def samples(
        self, sums: Float64[np.ndarray, "documents features"]
    ) -> Float64[np.ndarray, "samples features"]:
        """The sum over the documents of every sample."""
        parts = [
            self._drawn[first : first + _AT_ONCE].astype(np.float64) @ sums
            for first in range(0, SAMPLES, _AT_ONCE)
        ]
        return np.concatenate(parts)

    def ratios(
        self,
        values: Float64[np.ndarray, "rows features"],
        band: Bool[np.ndarray, " rows"],
        weights: Float64[np.ndarray, " rows"] | None = None,
    ) -> Ratios:
        """Means of a band beside means of all rows, with intervals.

        Args:
            values: never negative.
            band: its rows, at least one.
            weights: of the rows that it is compared with; all alike by default.
        """
        if weights is None:
            weights = np.ones(len(band))
        ones = np.ones((len(values), 1))
        everything = np.concatenate([values, ones], axis=1)
        inside = self.sums(everything * band[:, None])
        beside = self.sums(everything * weights[:, None])
        typical = _typical(beside[:, :-1])
        own, other = inside.sum(axis=0), beside.sum(axis=0)
        means, references = own[:-1] / own[-1], other[:-1] / other[-1]
        # A band may have its rows from fewer documents than its size would tell.
        counts = _effective(inside[:, -1:]) / _effective(beside[:, -1:])
        share = min(own[-1] / other[-1], float(counts[0]))
        expected = _effective(beside[:, :-1]) * share
        ratio = _divided(means, references)
        spread = self._spread(inside, beside, typical)
        t = stdtrit(np.maximum(1.0, expected - 1), 0.5 + CONFIDENCE / 2)
        low, high = ratio * np.exp(-t * spread), ratio * np.exp(t * spread)
        none = own[:-1] == 0
        bound = -np.log((1 - CONFIDENCE) / 2)
        high = np.where(none, bound / np.maximum(expected, 1e-9), high)
        known = (expected >= FEWEST) & np.isfinite(ratio)
        low, high = (np.where(known, side, np.nan) for side in (low, high))
        return Ratios(means, references, ratio, low, high, expected)

    def _spread(
        self, inside: np.ndarray, beside: np.ndarray, typical: np.ndarray
    ) -> Float64[np.ndarray, " features"]:
        # Half a document more, or a sample without any would have no logarithm.
        own, other = self.samples(inside), self.samples(beside)
        with np.errstate(divide="ignore", invalid="ignore"):
            band = (own[:, :-1] + typical / 2) / np.maximum(own[:, -1:], 0.5)
            logs = np.log(band) - np.log(other[:, :-1] / other[:, -1:])
        logs[~np.isfinite(logs)] = 0.0
        return np.asarray(logs.std(axis=0, ddof=1), np.float64)


def _effective(sums: np.ndarray) -> Float64[np.ndarray, " features"]:
    """How many documents carry each feature, were they all alike (Kish)."""
    return _divided(sums.sum(axis=0) ** 2, (sums**2).sum(axis=0), 0.0)


def _typical(sums: np.ndarray) -> Float64[np.ndarray, " features"]:
    """What a document that carries a feature has of it."""
    return _divided((sums**2).sum(axis=0), sums.sum(axis=0), 0.0)


def _divided(
    above: np.ndarray, below: np.ndarray, nothing: float = np.nan
) -> Float64[np.ndarray, " features"]:
    found = np.full(above.shape, nothing, np.float64)
    return np.divide(above, below, out=found, where=below > 0)
