"""The motif without fixed tokens: any span of tokens that comes again in its row.

Its skeleton is `{A}{B}{A}`: a span, what lies between, the span again. It is found by
n-grams, not by a pattern, and told only where the top rows have it more often.
"""

from headwater.catalysts.contrast import Sample, p_of
from headwater.catalysts.motifs import Motif
from headwater.catalysts.skeleton import Found, Skeleton, Slot

SPAN = 8  # tokens that come again, at least
LEVEL = 0.01
SPANNED, BETWEEN = "A", "B"


def repetition(sample: Sample) -> Motif | None:
    """The motif, where top rows have such spans more often than random rows."""
    found = {
        number: places
        for number, row in enumerate(sample.lists)
        if (places := _repeats(row))
    }
    p = p_of(found, sample)
    if p >= LEVEL:
        return None
    elements = (Slot(SPANNED), Slot(BETWEEN), Slot(SPANNED))
    every = [o for places in found.values() for o in places]
    lengths = {
        name: (min(sizes), max(sizes))
        for name in (SPANNED, BETWEEN)
        for sizes in [[len(o.fills[name]) for o in every]]
    }
    return Motif(Skeleton(elements, lengths), frozenset(), found, p, None)


def _repeats(row: list[int]) -> list[Found]:
    """The longest spans that come again, each with its nearest copy before it."""
    last: dict[tuple[int, ...], int] = {}
    found: list[Found] = []
    free = 0
    for at in range(len(row) - SPAN + 1):
        gram = tuple(row[at : at + SPAN])
        before = last.get(gram)
        last[gram] = at
        if before is None or at < free or before + SPAN >= at:
            continue
        size = SPAN
        while (
            at + size < len(row)
            and before + size < at
            and row[before + size] == row[at + size]
        ):
            size += 1
        fills = {SPANNED: tuple(row[at : at + size])}
        fills[BETWEEN] = tuple(row[before + size : at])
        if fills[BETWEEN]:
            found.append(Found(before, at + size, fills))
            free = at + size
    return found
