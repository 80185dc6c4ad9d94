"""Fresh rows after motifs: the motif is the program.

A row is one motif over and over: an occurrence, a gap, the next. Every slot is filled
anew in each occurrence, or as in the one before (`again`). Fills are drawn from a pool
of `POOL` for each slot, made of the domain's words, of tokens as frequent as in the
corpus, or given. A row depends on its number and the seed alone, not on how many are
asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from headwater.catalysts.motiffile import (
    PLAIN,
    SPACED,
    VALUES,
    WORDS,
    Program,
    SlotRule,
)
from headwater.catalysts.skeleton import Fixed
from headwater.corpus.rowstore import ragged_indices
from headwater.errors import HeadwaterError
from headwater.seeds import stable_seed

POOL = 4096
_AT_ONCE = 2048  # rows


@dataclass(frozen=True)
class _Pool:
    """Fills, one after the other: those of number i are `length[i]` from `start[i]`."""

    start: Int64[np.ndarray, " fills"]
    length: Int64[np.ndarray, " fills"]


def shares(programs: Sequence[Program]) -> Float64[np.ndarray, " programs"]:
    """Cumulative share of the rows that are of each motif."""
    weights = np.array([program.weight for program in programs])
    return np.cumsum(weights) / weights.sum()


def chosen(
    shares: Float64[np.ndarray, " programs"], uniform: Float64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " rows"]:
    """The motif of each row, from a random number each."""
    found = np.searchsorted(shares, uniform, side="right")
    return found.clip(max=len(shares) - 1).astype(np.int64)


def uniform_rows(
    key: int, first: int, count: int, draws: int
) -> Float64[np.ndarray, "count draws"]:
    """Random numbers of rows; each row owns a fixed stretch of one stream."""
    steps = -(-draws // 4)  # of Philox's counter, four numbers each
    stream = np.random.Philox(key=key, counter=first * steps)
    return np.random.Generator(stream).random((count, 4 * steps))[:, :draws]


class Generator:
    """Writes rows after motifs.

    Args:
        programs: the motifs, some with a weight above 0.
        width: tokens of a row.
        distribution: cumulative frequency of every token (`records.unigram`).

    Raises:
        HeadwaterError: slots are to be filled with words of a domain that has none.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        width: int,
        distribution: Float64[np.ndarray, " ids"],
        seed: int,
    ) -> None:
        self.width, self._key = width, stable_seed(seed, "rows")
        self._shares = shares(programs)
        self._writers = [
            _Writer(program, width, distribution, stable_seed(seed, "motif", number))
            for number, program in enumerate(programs)
        ]
        self._draws = 1 + max(writer.draws for writer in self._writers)

    def rows(
        self, first: int, count: int
    ) -> tuple[Int64[np.ndarray, "count width"], Int64[np.ndarray, " count"]]:
        """The rows `first` to `first + count - 1`, and the number of each one's motif.

        Args:
            first: from 0.
        """
        tokens = np.empty((count, self.width), np.int64)
        motifs = np.empty(count, np.int64)
        for begin in range(0, count, _AT_ONCE):
            part = slice(begin, min(begin + _AT_ONCE, count))
            many = part.stop - part.start
            uniform = uniform_rows(self._key, first + begin, many, self._draws)
            motifs[part] = chosen(self._shares, uniform[:, 0])
            for number in np.unique(motifs[part]):
                own = motifs[part] == number
                tokens[part][own] = self._writers[number].write(uniform[own, 1:])
        return tokens, motifs


class _Writer:
    """Writes rows of one motif, all at once."""

    def __init__(
        self,
        program: Program,
        width: int,
        distribution: Float64[np.ndarray, " ids"],
        seed: int,
    ) -> None:
        self.width, self._program = width, program
        self._buffer: list[np.ndarray] = []
        self._filled = 0
        self._names = program.skeleton.slots
        streams = iter(np.random.default_rng(seed).spawn(len(self._names) + 1))
        filler = _Filler(program, distribution)
        self._pools = {
            name: self._add(filler.fills(program.rules[name], next(streams)))
            for name in self._names
        }
        self._gap = None
        if program.gap[1]:
            rule = SlotRule(program.gap, filler.usual, SPACED)
            self._gap = self._add(filler.fills(rule, next(streams)))
        self._fixed = {
            element: self._add([list(element.tokens)])
            for element in program.skeleton.elements
            if isinstance(element, Fixed)
        }
        self._tokens = np.concatenate(self._buffer)
        shortest = program.skeleton.shortest + program.gap[0]
        self._times = -(-width // max(1, shortest))
        self.draws = self._times * (2 * len(self._names) + 1)

    def _add(self, fills: Sequence[Sequence[int]]) -> _Pool:
        length = np.array([len(fill) for fill in fills], np.int64)
        start = self._filled + np.cumsum(length) - length
        self._buffer.append(np.array([t for fill in fills for t in fill], np.int64))
        self._filled += int(length.sum())
        return _Pool(start, length)

    def write(
        self, uniform: Float64[np.ndarray, "rows draws"]
    ) -> Int64[np.ndarray, "rows width"]:
        """Rows, from at least `draws` random numbers each."""
        rows, times, slots = len(uniform), self._times, len(self._names)
        own = uniform[:, : self.draws].reshape(rows, times, -1)
        picked = {
            name: self._picked(name, own[:, :, place], own[:, :, slots + place])
            for place, name in enumerate(self._names)
        }
        starts, lengths = [], []
        for element in self._program.skeleton.elements:
            if isinstance(element, Fixed):
                pool, which = self._fixed[element], np.zeros((rows, times), np.int64)
            else:
                pool, which = self._pools[element.name], picked[element.name]
            starts.append(pool.start[which])
            lengths.append(pool.length[which])
        if self._gap is not None:
            which = (own[:, :, -1] * len(self._gap.start)).astype(np.int64)
            starts.append(self._gap.start[which])
            lengths.append(self._gap.length[which])
        return self._gathered(np.stack(starts, axis=2), np.stack(lengths, axis=2))

    def _picked(
        self,
        name: str,
        which: Float64[np.ndarray, "rows times"],
        again: Float64[np.ndarray, "rows times"],
    ) -> Int64[np.ndarray, "rows times"]:
        """The fill of every occurrence: a new one, or that of the one before."""
        size = len(self._pools[name].start)
        drawn = (which * size).astype(np.int64)
        fresh = again >= self._program.rules[name].again
        fresh[:, 0] = True
        places = np.where(fresh, np.arange(fresh.shape[1]), 0)
        last = np.maximum.accumulate(places, axis=1)
        return np.take_along_axis(drawn, last, axis=1)

    def _gathered(
        self,
        starts: Int64[np.ndarray, "rows times pieces"],
        lengths: Int64[np.ndarray, "rows times pieces"],
    ) -> Int64[np.ndarray, "rows width"]:
        """The first `width` tokens of every row's pieces."""
        starts, lengths = (a.reshape(len(a), -1) for a in (starts, lengths))
        ends = np.minimum(np.cumsum(lengths, axis=1), self.width)
        kept = np.diff(ends, axis=1, prepend=0)
        places = ragged_indices(starts.ravel(), kept.ravel())
        return self._tokens[places].reshape(len(starts), self.width)


class _Filler:
    """Makes the fills of one motif's slots."""

    def __init__(
        self, program: Program, distribution: Float64[np.ndarray, " ids"]
    ) -> None:
        self._program, self._distribution = program, distribution
        self.usual = WORDS if any(program.words.values()) else "vocabulary"

    def fills(self, rule: SlotRule, stream: np.random.Generator) -> list[list[int]]:
        """A pool of fills, at most `POOL`."""
        if rule.source == VALUES:
            return rule.values
        lengths = stream.integers(rule.length[0], rule.length[1] + 1, size=POOL)
        if rule.source == WORDS:
            return [self._words(int(n), rule.starts, stream) for n in lengths]
        drawn = np.searchsorted(
            self._distribution, stream.random(int(lengths.sum())), side="right"
        )
        return [part.tolist() for part in np.split(drawn, np.cumsum(lengths)[:-1])]

    def _words(
        self, length: int, starts: str, stream: np.random.Generator
    ) -> list[int]:
        """So many tokens of words; the last word may be cut."""
        found: list[int] = []
        while len(found) < length:
            sort = starts if not found else SPACED
            other = PLAIN if sort == SPACED else SPACED
            words = self._program.words.get(sort) or self._program.words.get(other)
            if not words:
                raise HeadwaterError(
                    f"motif {self._program.name!r}: slots are to be filled with words, "
                    "but the file has none of its domain under words; add some, or "
                    'fill them from "vocabulary"'
                )
            found += words[int(stream.integers(len(words)))]
        return found[:length]
