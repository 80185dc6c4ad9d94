"""Rows written afresh for arms: after motifs, and the controls of those.

motifs     `generator`: a motif over and over
shuffled   the same, but every slot of every occurrence is filled anew, so that nothing
           repeats but what is fixed
records    random tokens, repeated at once over as many tokens as an occurrence of the
           motif has: repetition and nothing else
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

from headwater.catalysts.generator import Generator, chosen, shares, uniform_rows
from headwater.catalysts.motiffile import Program, SlotRule
from headwater.catalysts.skeleton import Element, Skeleton, Slot
from headwater.seeds import stable_seed


class Writer(Protocol):
    """Writes rows by number."""

    width: int

    def rows(
        self, first: int, count: int
    ) -> tuple[Int64[np.ndarray, "count width"], Int64[np.ndarray, " count"]]:
        """The rows `first` to `first + count - 1`, and the number of each's motif."""


MakeWriter = Callable[
    [Sequence[Program], int, Float64[np.ndarray, " ids"], int], Writer
]


class Repeats:
    """Writes random tokens that repeat over the lengths of motifs.

    A row's motif is drawn by weight, as the generator does, and its length evenly from
    the shortest to the longest occurrence with its gap, at most a row's. The arguments
    are the generator's.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        width: int,
        distribution: Float64[np.ndarray, " ids"],
        seed: int,
    ) -> None:
        self.width, self._distribution = width, distribution
        self._seed = stable_seed(seed, "repeats")
        self._shares = shares(programs)
        bounds = np.array([_lengths(program) for program in programs])
        self._low, self._high = np.clip(bounds, 1, width).T

    def rows(
        self, first: int, count: int
    ) -> tuple[Int64[np.ndarray, "count width"], Int64[np.ndarray, " count"]]:
        """As `Writer` has it."""
        most = int(self._high.max())
        uniform = uniform_rows(self._seed, first, count, 2 + most)
        motifs = chosen(self._shares, uniform[:, 0])
        low, high = self._low[motifs], self._high[motifs]
        lengths = low + np.floor(uniform[:, 1] * (high - low + 1)).astype(np.int64)
        tokens = np.searchsorted(self._distribution, uniform[:, 2:], side="right")
        places = np.arange(self.width) % lengths[:, None]
        return np.take_along_axis(tokens, places, axis=1), motifs


def _lengths(program: Program) -> tuple[int, int]:
    """Fewest and most tokens of an occurrence and the gap after it."""
    names = [e.name for e in program.skeleton.elements if isinstance(e, Slot)]
    slots = [program.skeleton.lengths[name] for name in names]
    fixed = program.skeleton.fixed
    low, high = (
        fixed + sum(slot[side] for slot in slots) + program.gap[side] for side in (0, 1)
    )
    return low, high


def without_repeats(program: Program) -> Program:
    """A program whose slots are filled anew each time that they stand anywhere."""
    elements: list[Element] = []
    rules: dict[str, SlotRule] = {}
    lengths: dict[str, tuple[int, int]] = {}
    for element in program.skeleton.elements:
        if isinstance(element, Slot):
            rule = program.rules[element.name]
            element = Slot(f"{element.name}_{len(rules)}")
            rules[element.name] = replace(rule, again=0.0)
            lengths[element.name] = rule.length
        elements.append(element)
    return replace(program, skeleton=Skeleton(tuple(elements), lengths), rules=rules)


def _shuffled(
    programs: Sequence[Program],
    width: int,
    distribution: Float64[np.ndarray, " ids"],
    seed: int,
) -> Writer:
    return Generator([*map(without_repeats, programs)], width, distribution, seed)


WRITERS: dict[str, MakeWriter] = {  # by kind of rows
    "motifs": Generator,
    "shuffled": _shuffled,
    "records": Repeats,
}
