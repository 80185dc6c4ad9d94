"""Motifs: mined skeletons in tokens, with how their slots repeat.

What was mined in symbols (`shapes`) becomes tokens and slots. Words that are the same
in most occurrences become fixed, those that are filled alike in each of them one slot;
words beside each other that are neither become one slot, too. A slot has a name, and
says how often its next fill in the same row is the same (`again`): what comes again is
what a head that copies can learn from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int8

from headwater.catalysts.contrast import Sample
from headwater.catalysts.growth import MOST_ALIKE, slot_names
from headwater.catalysts.mining import Mined
from headwater.catalysts.shapes import NO_WORD, Symbols
from headwater.catalysts.skeleton import Element, Fixed, Found, Skeleton, Slot

Place = tuple[int, int]  # of tokens: first, last plus one


@dataclass(frozen=True)
class Motif:
    """A skeleton of tokens, and where it stands.

    Attributes:
        words: slots that hold words alone.
        found: occurrences by row of the sample.
        p: of the test that it passed.
        false: share of what passed that is chance; None for one that is tested alone.
    """

    skeleton: Skeleton
    words: frozenset[str]
    found: dict[int, list[Found]]
    p: float
    false: float | None

    def gaps(self) -> list[int]:
        """Tokens between each occurrence and the next in its row."""
        return [
            max(0, after.start - before.stop)
            for found in self.found.values()
            for before, after in pairwise(found)
        ]

    def again(self, slot: str) -> float:
        """Share of the next occurrences in a row that are filled as the one before."""
        pairs = [
            before.fills[slot] == after.fills[slot]
            for found in self.found.values()
            for before, after in pairwise(found)
        ]
        return float(np.mean(pairs)) if pairs else 0.0

    def distinct(self, slot: str) -> float:
        """Unlike fills, a share of all."""
        fills = [one.fills[slot] for found in self.found.values() for one in found]
        return len({*fills}) / len(fills)


def motif_of(mined: Mined, sample: Sample, kinds: Int8[np.ndarray, " ids"]) -> Motif:
    """What was mined, in tokens.

    Args:
        kinds: of every token, see `shapes`.
    """
    parts = {
        row: [_parts(one, mined.skeleton, mined.space.symbols, row) for one in places]
        for row, places in mined.found.items()
    }
    lists = sample.lists
    elements = _elements(mined.skeleton, mined.space.symbols)
    every = [(row, part) for row, found in parts.items() for part in found]
    inside = [(row, part) for row, part in every if sample.top[row]]
    elements = _settled(elements, inside, lists)
    every = [entry for entry in every if _as_fixed(entry, elements, lists)]
    inside = [entry for entry in inside if _as_fixed(entry, elements, lists)]
    names = _names(elements, inside, lists)
    alike = [entry for entry in every if _alike(entry, names, lists)]
    return _finished(mined, merged(elements, names), alike, lists, kinds)


def _elements(skeleton: Skeleton, symbols: Symbols) -> list[Element]:
    """One element a fixed token, a word or a slot; words are slots of their own."""
    found: list[Element] = []
    for element in skeleton.elements:
        if isinstance(element, Slot):
            found.append(element)
            continue
        for token in element.tokens:
            word = symbols.is_word(token)
            found.append(Slot(f"w{len(found)}") if word else Fixed((token,)))
    return found


def _parts(found: Found, skeleton: Skeleton, symbols: Symbols, row: int) -> list[Place]:
    """The tokens of each of `_elements`."""
    begins, at = symbols.begins[row], found.start
    places = []
    for element in skeleton.elements:
        if isinstance(element, Slot):
            stop = at + len(found.fills[element.name])
            places.append((begins[at], begins[stop]))
            at = stop
            continue
        for _ in element.tokens:
            places.append((begins[at], begins[at + 1]))
            at += 1
    return places


Entry = tuple[int, list[Place]]
Lists = Sequence[list[int]]


def _fill(entry: Entry, element: int, lists: Lists) -> tuple[int, ...]:
    row, places = entry
    start, stop = places[element]
    return tuple(lists[row][start:stop])


def _settled(
    elements: Sequence[Element], entries: Sequence[Entry], lists: Lists
) -> list[Element]:
    """Elements, those fixed that are filled the same in most occurrences."""
    found: list[Element] = []
    for number, element in enumerate(elements):
        fills = Counter(_fill(entry, number, lists) for entry in entries)
        fill, often = fills.most_common(1)[0]
        same = isinstance(element, Slot) and often >= MOST_ALIKE * len(entries)
        found.append(Fixed(fill) if same else element)
    return found


def _as_fixed(entry: Entry, elements: Sequence[Element], lists: Lists) -> bool:
    """Whether an occurrence has the tokens that are fixed."""
    return all(
        _fill(entry, number, lists) == element.tokens
        for number, element in enumerate(elements)
        if isinstance(element, Fixed)
    )


def _names(
    elements: Sequence[Element], entries: Sequence[Entry], lists: Lists
) -> list[str | None]:
    """For each element the name of its slot; that of an earlier one filled alike."""
    names: list[str | None] = []
    for number, element in enumerate(elements):
        if isinstance(element, Fixed):
            names.append(None)
            continue
        own = [_fill(entry, number, lists) for entry in entries]
        name = element.name
        for before in range(number):
            if names[before] is None or len({*own}) < 2:
                continue
            other = [_fill(entry, before, lists) for entry in entries]
            same = np.mean([a == b for a, b in zip(own, other, strict=True)])
            if same >= MOST_ALIKE:
                name = str(names[before])
                break
        names.append(name)
    return names


def _alike(entry: Entry, names: Sequence[str | None], lists: Lists) -> bool:
    """Whether slots of one name are filled alike in an occurrence."""
    fills: dict[str, tuple[int, ...]] = {}
    return all(
        fills.setdefault(name, fill) == fill
        for number, name in enumerate(names)
        if name is not None
        for fill in [_fill(entry, number, lists)]
    )


def merged(
    elements: Sequence[Element], names: Sequence[str | None]
) -> list[tuple[Element, list[int]]]:
    """Elements with the numbers of those that they are made of.

    Fixed tokens in a row become one, and slots that stand beside each other wherever
    either of them stands.
    """
    together = _together(names)
    found: list[tuple[Element, list[int]]] = []
    for number, (element, name) in enumerate(zip(elements, names, strict=True)):
        last = found[-1] if found else None
        if isinstance(element, Fixed) and last and isinstance(last[0], Fixed):
            tokens = (*last[0].tokens, *element.tokens)
            found[-1] = Fixed(tokens), [*last[1], number]
        elif isinstance(element, Fixed):
            found.append((element, [number]))
        elif last and (names[number - 1], name) in together:
            last[1].append(number)
        else:
            found.append((Slot(str(name)), [number]))
    return found


def _together(names: Sequence[str | None]) -> set[tuple[str | None, str | None]]:
    """Pairs of slots of which neither stands anywhere without the other beside it."""
    pairs = [*pairwise([None, *names, None])]
    return {
        (one, other)
        for one, other in pairs
        if one is not None
        and other not in (None, one)
        and {b for a, b in pairs if a == one} == {other}
        and {a for a, b in pairs if b == other} == {one}
    }


def _finished(
    mined: Mined,
    parts: Sequence[tuple[Element, list[int]]],
    entries: Sequence[Entry],
    lists: Lists,
    kinds: Int8[np.ndarray, " ids"],
) -> Motif:
    letters = slot_names(e.name for e, _ in parts if isinstance(e, Slot))
    elements = tuple(
        Slot(letters[e.name]) if isinstance(e, Slot) else e for e, _ in parts
    )
    found: dict[int, list[Found]] = {}
    lengths: dict[str, tuple[int, int]] = {}
    words = {*letters.values()}
    for row, places in entries:
        fills = {}
        for element, numbers in parts:
            if isinstance(element, Slot):
                start, stop = places[numbers[0]][0], places[numbers[-1]][1]
                name, fill = letters[element.name], tuple(lists[row][start:stop])
                fills[name] = fill
                low, high = lengths.get(name, (len(fill), len(fill)))
                lengths[name] = min(low, len(fill)), max(high, len(fill))
                if (kinds[list(fill)] == NO_WORD).any():
                    words.discard(name)
        own = Found(places[0][0], places[-1][1], fills)
        found.setdefault(row, []).append(own)
    skeleton = Skeleton(elements, lengths)
    return Motif(skeleton, frozenset(words), found, mined.p, mined.false)


def shortened(motif: Motif, share: float = 0.95) -> Mapping[str, tuple[int, int]]:
    """Lengths of the slots without the few longest fills."""
    found = {}
    for name in motif.skeleton.slots:
        own = [len(o.fills[name]) for places in motif.found.values() for o in places]
        low, high = np.quantile(own, [1 - share, share], method="nearest")
        found[name] = int(max(1, low)), int(max(1, high))
    return found


def spelled(skeleton: Skeleton, texts: Sequence[str]) -> str:
    """A skeleton for people: its text, slots in braces.

    Args:
        texts: of every token.
    """
    return "".join(
        "{" + element.name + "}"
        if isinstance(element, Slot)
        else "".join(texts[token] for token in element.tokens)
        for element in skeleton.elements
    )
