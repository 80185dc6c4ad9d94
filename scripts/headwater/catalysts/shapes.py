"""Rows as sequences of symbols: as they are, or with every word as one symbol.

A *word* is a run of tokens with letters or digits; it ends before one that begins with
a space, which begins the next. There are two symbols for words, with a space before and
without. What rows of unlike words have in common, such as `f(a, b)` and `g(x, 1)`, is a
sequence of such symbols. It is mined as tokens are, and its words become slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int8

from headwater.catalysts.contrast import Sample

NO_WORD, WORD, SPACED = 0, 1, 2  # of a token


@dataclass(frozen=True)
class Symbols:
    """Rows of symbols.

    Attributes:
        lists: symbols of each row: token ids, or what stands for a word.
        begins: the token at which each symbol begins, and last where the row ends.
        first_word: symbols from it on stand for words; larger than all without any.
    """

    lists: list[list[int]]
    begins: list[list[int]]
    first_word: int

    def is_word(self, symbol: int) -> bool:
        """Whether a symbol stands for any word."""
        return symbol >= self.first_word


def as_tokens(rows: Sample, vocabulary: int) -> Symbols:
    """Every token is a symbol."""
    begins = [[*range(len(row) + 1)] for row in rows.lists]
    return Symbols(rows.lists, begins, vocabulary + SPACED)


def as_shapes(rows: Sample, kinds: Int8[np.ndarray, " ids"]) -> Symbols:
    """Every word is one symbol.

    Args:
        kinds: of each token: `NO_WORD`, `WORD`, `SPACED`.
    """
    found = [_shape(row, kinds) for row in rows.lists]
    lists, begins = ([one[side] for one in found] for side in (0, 1))
    return Symbols(lists, begins, len(kinds) + WORD)


def _shape(
    row: Sequence[int], kinds: Int8[np.ndarray, " ids"]
) -> tuple[list[int], list[int]]:
    tokens = np.asarray(row, np.int64)
    own = kinds[tokens].astype(np.int64)
    symbols = np.where(own > NO_WORD, len(kinds) + own, tokens)
    kept = np.ones(len(row), bool)
    kept[1:] = (own[1:] != WORD) | (own[:-1] == NO_WORD)
    return symbols[kept].tolist(), [*np.flatnonzero(kept).tolist(), len(row)]


def token_kinds(texts: Sequence[str]) -> Int8[np.ndarray, " ids"]:
    """The kind of every token, by its text."""
    kinds = np.zeros(len(texts), np.int8)
    for token, text in enumerate(texts):
        core = text.strip(" ")
        if core and all(letter.isalnum() or letter == "_" for letter in core):
            kinds[token] = SPACED if text.startswith(" ") else WORD
    return kinds
