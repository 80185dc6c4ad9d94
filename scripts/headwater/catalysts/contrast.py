"""Whether top rows have something more often than random rows: by document.

Two tests, of which the better counts. Fisher's exact test compares how many documents
have it at all; it is blind where most have. So the share of rows that have it is
compared, too, by a normal test whose variance is over documents: a document with many
rows counts once, and where it has rows of both sorts, these are compared with each
other.

What is tested is thousands of n-grams that overlap, so how many of them pass by chance
is measured: documents exchange which of their rows are top ones, 19 times. The bound of
p is the largest of `BOUNDS` below which there are, in the mean of these exchanges, at
most a twentieth of what the real top rows have there; so that of what passes about one
in twenty is chance. There may be no such bound.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from headwater.interventions.measures import unpadded

EXCHANGES = 19
FEWEST = 5  # top documents that must hold a value, or it is not looked at
FALSE = 0.05  # share of what passes that may be chance
BOUNDS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class Sample:
    """Top rows and random rows, none of which is among the top ones.

    Attributes:
        tokens: ids.
        owners: the document of each row, any numbers.
        masses: influence of each row, 0 or more.
        top: which are top rows.
    """

    tokens: Int64[np.ndarray, "rows width"]
    owners: Int64[np.ndarray, " rows"]
    masses: Float64[np.ndarray, " rows"]
    top: Bool[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def lists(self) -> list[list[int]]:
        """Token ids without padding."""
        own = unpadded(self.tokens)
        return [row[:n].tolist() for row, n in zip(self.tokens, own, strict=True)]

    @cached_property
    def documents(self) -> Int64[np.ndarray, " rows"]:
        """The document of each row, from 0."""
        _, found = np.unique(self.owners, return_inverse=True)
        return np.asarray(found.reshape(-1), np.int64)

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " documents"]:
        """Rows of each document."""
        return np.bincount(self.documents)

    def covered(self, rows: Int64[np.ndarray, " _"]) -> tuple[float, float]:
        """The shares of the top rows' influence and of the random rows."""
        own = np.zeros(len(self), bool)
        own[rows] = True
        total = float(self.masses[self.top].sum())
        mass = float(self.masses[own & self.top].sum()) / total if total > 0 else 0.0
        others = ~self.top
        return mass, float((own & others).sum()) / max(1, int(others.sum()))

    def exchanged(self, stream: np.random.Generator) -> Bool[np.ndarray, " rows"]:
        """Which rows would be top ones had documents exchanged their places.

        Rows are laid out by document twice, in two orders of the documents; what stands
        at the same place exchanges. So top rows stay together as they were.
        """
        found = np.zeros(len(self), bool)
        one, other = (self._laid_out(stream) for _ in range(2))
        found[other] = self.top[one]
        return found

    def _laid_out(self, stream: np.random.Generator) -> Int64[np.ndarray, " rows"]:
        places = stream.permutation(len(self.sizes))[self.documents]
        return np.lexsort((stream.random(len(self)), places))


@dataclass(frozen=True)
class Contrast:
    """What top and random rows have of some values.

    Attributes:
        documents: of the top rows, that hold each value.
        p: chance of so much more in the top rows, were both alike; 1 where fewer than
            `FEWEST` documents hold it.
    """

    documents: Int64[np.ndarray, " values"]
    p: Float64[np.ndarray, " values"]


class Holding:
    """Which rows of a sample hold each of some values.

    Args:
        values: from 0 to `count` - 1, each of a row; a pair may come twice.
        rows: the same pairs' rows.
    """

    def __init__(
        self,
        sample: Sample,
        values: Int64[np.ndarray, " pairs"],
        rows: Int64[np.ndarray, " pairs"],
        count: int,
    ) -> None:
        self._sample, self._count = sample, count
        value, row = np.divmod(np.unique(values * len(sample) + rows), len(sample))
        both = value * len(sample.sizes) + sample.documents[row]
        order = np.argsort(both, kind="stable")
        self._rows = row[order]
        entries, self._begins = np.unique(both[order], return_index=True)
        self._values, self._documents = np.divmod(entries, len(sample.sizes))
        self._often = np.bincount(value, minlength=count)

    def contrast(self, top: Bool[np.ndarray, " rows"]) -> Contrast:
        """Compare top rows with the others in each value."""
        if not len(self._rows):
            nothing = np.zeros(self._count, np.int64)
            return Contrast(nothing, np.ones(self._count))
        inside = np.add.reduceat(top[self._rows].astype(np.int64), self._begins)
        rows = np.diff(np.append(self._begins, len(self._rows)))
        ours, theirs = (
            np.bincount(self._values[some], minlength=self._count)
            for some in (inside > 0, rows > inside)
        )
        documents = self._sample.documents
        counts = [len(np.unique(documents[kept])) for kept in (top, ~top)]
        more = (ours >= FEWEST) & (ours * sum(counts) > (ours + theirs) * counts[0])
        fisher = np.ones(self._count)
        fisher[more] = stats.hypergeom.sf(
            ours[more] - 1, sum(counts), (ours + theirs)[more], counts[0]
        )
        normal = self._normal(top, inside, rows - inside)
        p = np.minimum(1.0, 2 * np.minimum(fisher, normal))
        return Contrast(ours, np.where(ours < FEWEST, 1.0, p))

    def _normal(
        self,
        top: Bool[np.ndarray, " rows"],
        inside: Int64[np.ndarray, " entries"],
        outside: Int64[np.ndarray, " entries"],
    ) -> Float64[np.ndarray, " values"]:
        """By the difference of the shares of rows, with its variance over documents."""
        sample, count = self._sample, self._count
        size, others = max(1, int(top.sum())), max(1, int((~top).sum()))
        weights = np.where(top, 1 / size, -1 / others)
        # Of each document: its rows' part of the difference, and what it would be if
        # its rows held the value as often as all do.
        found = inside / size - outside / others
        usual = np.bincount(sample.documents, weights)
        share = self._often / len(sample)
        difference = np.bincount(self._values, found, count)
        squares = np.bincount(self._values, found**2, count)
        products = np.bincount(self._values, found * usual[self._documents], count)
        variance = squares - 2 * share * products + share**2 * (usual**2).sum()
        return np.asarray(stats.norm.sf(difference / np.sqrt(variance.clip(1e-300))))


def p_of(rows: Collection[int], sample: Sample) -> float:
    """The same of one value, by the numbers of the rows that hold it."""
    own = np.array([*rows], np.int64)
    return float(Holding(sample, 0 * own, own, 1).contrast(sample.top).p[0])


def bound_of(
    holdings: Sequence[Holding], sample: Sample, seed: int
) -> tuple[float, float] | None:
    """The bound of p, and the share of what is below it that is chance; see above.

    Args:
        holdings: of all that is tested.
        seed: of the exchanges.

    Returns:
        None if at no bound enough passes.
    """
    stream = np.random.default_rng(seed)
    real = _below(holdings, sample.top)
    chance = sum(_below(holdings, sample.exchanged(stream)) for _ in range(EXCHANGES))
    # One more, as if it had been seen: none in 19 is not none.
    false = (chance + 1) / EXCHANGES / np.maximum(1, real)
    good = np.flatnonzero((false <= FALSE) & (real > 0))
    return (BOUNDS[good[0]], float(false[good[0]])) if len(good) else None


def _below(
    holdings: Sequence[Holding], top: Bool[np.ndarray, " rows"]
) -> Int64[np.ndarray, " bounds"]:
    """How many values have a p below each bound, were these the top rows."""
    p = np.concatenate([holding.contrast(top).p for holding in holdings])
    return np.array([(p < bound).sum() for bound in BOUNDS], np.int64)
