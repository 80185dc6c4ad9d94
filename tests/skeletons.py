"""Skeletons that tests plant in rows, and whether mining has found them."""

from collections.abc import Callable, Iterable, Sequence

from headwater.catalysts.skeleton import Element, joined

SLOTS = {"A", "B", "C"}
Pieces = Sequence[str]  # texts and names of slots, one after the other


def symbols(pieces: Pieces, tokens: Callable[[str], list[int]]) -> list[int | str]:
    """A skeleton as token ids and names of slots.

    Args:
        tokens: of a text.
    """
    parts = ([piece] if piece in SLOTS else tokens(piece) for piece in pieces)
    return [symbol for part in parts for symbol in part]


def recovered(
    planted: Iterable[Sequence[int | str]], mined: Iterable[Sequence[Element]]
) -> int:
    """How many of the planted are mined as they are: each token, each slot's names.

    Slots of either are called A, B, ... in their order.
    """
    return len({joined(one) for one in planted} & {tuple(one) for one in mined})
