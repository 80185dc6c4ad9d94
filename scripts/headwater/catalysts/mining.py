"""Skeletons that the top rows have more often than random rows.

Seeds are n-grams of symbols (`shapes`): of tokens, and of tokens with words as one
symbol. Those that the top rows have more often (`contrast`) are grown (`growth`), the
ones first that cover the most influence beyond chance; what the fixed tokens of a
skeleton cover is no seed of its kind any more. What has grown is put to the same test
in all rows. Of those that pass, one after the other is taken, that first whose
influence beyond chance, times its fixed tokens, is the largest, as long as half of its
occurrences lie outside those that were taken before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from headwater.catalysts.contrast import FEWEST, Holding, Sample, bound_of, p_of
from headwater.catalysts.growth import LONGEST, grow
from headwater.catalysts.shapes import Symbols
from headwater.catalysts.skeleton import Fixed, Found, Skeleton
from headwater.interventions.measures import ngrams

FIXED = 3  # tokens of a skeleton that are fixed, at least
MOST_SEEDS = 400  # that are grown
MOST_WALKED = 400  # occurrences that a seed is grown from
_PAD = 3  # above all symbols: pads rows, and is in no seed


@dataclass(frozen=True)
class Space:
    """A way to see rows.

    Attributes:
        symbols: of all rows of the sample.
        lengths: of seeds.
    """

    symbols: Symbols
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Mined:
    """A skeleton of symbols, and where it stands.

    Attributes:
        found: occurrences by row of the sample, in symbols.
        p: of the test.
        bound: what p had to be below.
        false: share of the n-grams below it that are chance.
    """

    space: Space
    skeleton: Skeleton
    found: dict[int, list[Found]]
    p: float
    bound: float
    false: float


@dataclass(frozen=True)
class _Seed:
    space: Space
    symbols: list[int]
    places: Int64[np.ndarray, "places 2"]  # row, start; of top rows
    gain: float


def mine(
    spaces: Sequence[Space],
    sample: Sample,
    most: int,
    seed: int,
    line_ends: frozenset[int] = frozenset(),
) -> list[Mined]:
    """The skeletons of the top rows, those that cover the most influence first.

    Args:
        spaces: ways to see the rows.
        most: skeletons.
        seed: of the exchanges that the test's bound is measured by.
        line_ends: tokens that end a line.
    """
    tables = [_Table(sample, space, n) for space in spaces for n in space.lengths]
    limit = bound_of([table.holding for table in tables], sample, seed)
    if limit is None:
        return []
    bound, false = limit
    seeds = [one for table in tables for one in table.seeds(bound)]
    seeds.sort(key=lambda one: (-one.gain, -len(one.symbols), one.symbols))
    chances = {id(space): _chance(space, sample) for space in spaces}
    grown: list[Mined] = []
    seen: set[object] = set()
    covered = {id(space): np.zeros(sample.tokens.shape, bool) for space in spaces}
    for one, places in _left(seeds, covered, sample):
        space = one.space
        rows, chance = space.symbols.lists, chances[id(space)]
        skeleton = grow(rows, places, one.symbols, chance, line_ends)
        if skeleton.elements in seen or _fixed(skeleton, space.symbols) < FIXED:
            continue
        seen.add(skeleton.elements)
        mined = _tested(space, skeleton, sample, bound, false)
        if mined.p < bound:
            grown.append(mined)
            _cover(mined, covered[id(space)])
    chosen = _chosen(grown, sample)[:most]
    return sorted(chosen, key=lambda one: -sample.covered(rows_of(one.found))[0])


def _chosen(grown: Sequence[Mined], sample: Sample) -> list[Mined]:
    """Those that explain the most, none that others explain already."""

    def worth(one: Mined) -> float:
        mass, chance = sample.covered(rows_of(one.found))
        return (mass - chance) * _fixed(one.skeleton, one.space.symbols)

    covered = np.zeros(sample.tokens.shape, bool)
    chosen = []
    for one in sorted(grown, key=worth, reverse=True):
        own = [
            covered[row, slice(*_tokens(one, row, place))].any()
            for row, places in one.found.items()
            if sample.top[row]
            for place in places
        ]
        if 2 * sum(own) <= len(own):
            chosen.append(one)
            for row, places in one.found.items():
                for place in places:
                    covered[row, slice(*_tokens(one, row, place))] = True
    return chosen


def _tokens(mined: Mined, row: int, found: Found) -> tuple[int, int]:
    begins = mined.space.symbols.begins[row]
    return begins[found.start], begins[found.stop]


def rows_of(found: Mapping[int, list[Found]]) -> Int64[np.ndarray, " rows"]:
    """The rows that occurrences are in."""
    return np.array([*found], np.int64)


def _fixed(skeleton: Skeleton, symbols: Symbols) -> int:
    tokens = (t for e in skeleton.elements if isinstance(e, Fixed) for t in e.tokens)
    return sum(not symbols.is_word(token) for token in tokens)


def _chance(space: Space, sample: Sample) -> Mapping[int, float]:
    """For each symbol that it is among as many random ones as a slot may have."""
    lists = space.symbols.lists
    rows = [lists[n] for n in np.flatnonzero(~sample.top)]
    every = np.concatenate([np.zeros(0, np.int64), *map(np.asarray, rows)])
    symbols, counts = np.unique(every, return_counts=True)
    chances = 1 - (1 - counts / max(1, len(every))) ** (LONGEST + 1)
    return dict(zip(symbols.astype(int).tolist(), chances.tolist(), strict=True))


class _Table:
    """All n-grams of one length, and which rows hold them."""

    def __init__(self, sample: Sample, space: Space, length: int) -> None:
        self._sample, self._space, self._length = sample, space, length
        self._rows, hashes, row, start = _ngrams(space.symbols, length)
        values, inverse = np.unique(hashes, return_inverse=True)
        inverse = inverse.reshape(-1).astype(np.int64)
        size = len(sample.sizes)
        pairs = np.unique(inverse * size + sample.documents[row]) // size
        held = np.bincount(pairs, minlength=len(values)) >= FEWEST
        self._count = int(held.sum())
        kept = held[inverse]
        number = np.cumsum(held) - 1
        self._values = number[inverse[kept]]
        self._row, self._start = row[kept], start[kept]
        self.holding = Holding(sample, self._values, self._row, self._count)

    def seeds(self, bound: float) -> Iterator[_Seed]:
        """N-grams with a p below the bound; none of words alone."""
        sample = self._sample
        found = self.holding.contrast(sample.top)
        good = np.flatnonzero(found.p < bound)
        order = np.argsort(self._values, kind="stable")
        bounds = np.searchsorted(self._values[order], [good, good + 1]).T
        for begin, end in bounds:
            at = order[begin:end]
            row, start = self._row[at], self._start[at]
            first = slice(start[0], start[0] + self._length)
            symbols = self._rows[row[0], first].tolist()
            if all(map(self._space.symbols.is_word, symbols)):
                continue
            mass, chance = sample.covered(row)
            inside = sample.top[row]
            places = np.stack([row[inside], start[inside]], axis=1)
            yield _Seed(self._space, symbols, places, mass - chance)


def _ngrams(
    symbols: Symbols, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All rows, and the number of every n-gram with its row and start."""
    sizes = np.array([len(row) for row in symbols.lists])
    width = max(1, int(sizes.max(initial=0)))
    rows = np.full((len(sizes), width), symbols.first_word + _PAD, np.int64)
    for number, row in enumerate(symbols.lists):
        rows[number, : len(row)] = row
    found = ngrams(rows, length)
    starts = np.arange(found.shape[1])
    row_, start = np.nonzero(starts <= (sizes - length)[:, None])
    return rows, found[row_, start], row_, start


def _left(
    seeds: Sequence[_Seed], covered: Mapping[int, np.ndarray], sample: Sample
) -> Iterator[tuple[_Seed, list[tuple[int, int]]]]:
    """Seeds with the places that no skeleton covers yet, where there are enough."""
    grown = 0
    for seed in seeds:
        begins, length = seed.space.symbols.begins, len(seed.symbols)
        taken = covered[id(seed.space)]
        left = [
            (row, at)
            for row, at in seed.places.tolist()
            if not taken[row, begins[row][at] : begins[row][at + length]].any()
        ]
        if len({int(sample.documents[row]) for row, _ in left}) < FEWEST:
            continue
        grown += 1
        if grown > MOST_SEEDS:
            return
        yield seed, left[:: -(-len(left) // MOST_WALKED)]


def _tested(
    space: Space, skeleton: Skeleton, sample: Sample, bound: float, false: float
) -> Mined:
    found = skeleton.find_all(space.symbols.lists)
    return Mined(space, skeleton, found, p_of(found, sample), bound, false)


def _cover(mined: Mined, covered: np.ndarray) -> None:
    """Take the fixed tokens from what seeds are left."""
    for row, places in mined.found.items():
        begins = mined.space.symbols.begins[row]
        for place in places:
            for at in mined.skeleton.fixed_places(place):
                covered[row, begins[at] : begins[at + 1]] = True
