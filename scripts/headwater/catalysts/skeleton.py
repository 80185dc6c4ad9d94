"""Skeletons: fixed tokens and slots, in their order; where rows hold them.

A slot that stands more than once must be filled alike each time. Rows are searched as
text with one character a token, by a regular expression in which such a slot is a
back-reference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int

_SURROGATES, _AFTER = 0xD800, 0x800  # characters that no text may hold

Fills = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Fixed:
    """Tokens that are always the same."""

    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """A place for any tokens; the same `name` is filled alike."""

    name: str


Element = Fixed | Slot


@dataclass(frozen=True)
class Found:
    """An occurrence of a skeleton in a row: `start` to `stop - 1`, and its fills."""

    start: int
    stop: int
    fills: Fills


@dataclass(frozen=True)
class Skeleton:
    """Elements, no two fixed ones beside each other.

    Attributes:
        lengths: fewest and most tokens of each slot.
    """

    elements: tuple[Element, ...]
    lengths: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def fixed(self) -> int:
        """How many tokens are fixed."""
        return sum(len(e.tokens) for e in self.elements if isinstance(e, Fixed))

    @property
    def slots(self) -> list[str]:
        """Names of the slots, each once, in their order."""
        return [*dict.fromkeys(e.name for e in self.elements if isinstance(e, Slot))]

    @property
    def shortest(self) -> int:
        """Tokens of the shortest occurrence."""
        return self.fixed + sum(
            self.lengths[e.name][0] for e in self.elements if isinstance(e, Slot)
        )

    def recurring(self) -> list[str]:
        """Slots that stand more than once."""
        names = [e.name for e in self.elements if isinstance(e, Slot)]
        return [name for name in self.slots if names.count(name) > 1]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        groups: dict[str, str] = {}
        parts = []
        for element in self.elements:
            if isinstance(element, Fixed):
                parts.append(re.escape(as_text(element.tokens)))
            elif element.name in groups:
                parts.append(f"(?P={groups[element.name]})")
            else:
                groups[element.name] = f"s{len(groups)}"
                low, high = self.lengths[element.name]
                name = groups[element.name]
                parts.append(f"(?P<{name}>.{{{low},{high}}}?)")
        return re.compile("".join(parts), re.DOTALL)

    def find(self, text: str) -> Iterator[Found]:
        """Where a row, as `as_text` has it, holds it; no two overlap."""
        for match in self._pattern.finditer(text):
            fills = {
                name: as_tokens(match[f"s{number}"])
                for number, name in enumerate(self.slots)
            }
            yield Found(match.start(), match.end(), fills)

    def find_all(self, rows: Sequence[Sequence[int]]) -> dict[int, list[Found]]:
        """Occurrences by the number of the row, of those that hold it."""
        every = (
            (number, [*self.find(as_text(row))]) for number, row in enumerate(rows)
        )
        return {number: found for number, found in every if found}

    def fixed_places(self, found: Found) -> list[int]:
        """Where the fixed tokens of an occurrence stand."""
        places: list[int] = []
        at = found.start
        for element in self.elements:
            if isinstance(element, Fixed):
                places += range(at, at + len(element.tokens))
                at += len(element.tokens)
            else:
                at += len(found.fills[element.name])
        return places

    def spelled(self, fills: Mapping[str, Sequence[int]]) -> list[int]:
        """Its tokens with the slots filled."""
        tokens: list[int] = []
        for element in self.elements:
            own = element.tokens if isinstance(element, Fixed) else fills[element.name]
            tokens += own
        return tokens


def as_text(tokens: Sequence[int] | Int[np.ndarray, " _"]) -> str:
    """Tokens as text, a character each."""
    return "".join(chr(t if t < _SURROGATES else t + _AFTER) for t in map(int, tokens))


def as_tokens(text: str) -> tuple[int, ...]:
    """The tokens of such a text."""
    places = map(ord, text)
    return tuple(p if p < _SURROGATES else p - _AFTER for p in places)


def joined(symbols: Sequence[int | str]) -> tuple[Element, ...]:
    """Elements from token ids and names of slots, one after the other."""
    elements: list[Element] = []
    for symbol in symbols:
        if isinstance(symbol, str):
            elements.append(Slot(symbol))
        elif elements and isinstance(elements[-1], Fixed):
            elements[-1] = Fixed((*elements[-1].tokens, symbol))
        else:
            elements.append(Fixed((symbol,)))
    return tuple(elements)


def symbols_of(elements: Sequence[Element]) -> list[int | str]:
    """Token ids and names of slots, one after the other: the inverse of `joined`."""
    found: list[int | str] = []
    for element in elements:
        found += element.tokens if isinstance(element, Fixed) else [element.name]
    return found
