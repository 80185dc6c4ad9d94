r"""What a row looks like: one line of a table for each feature.

A feature is one number a row, never negative, so that its mean among the top rows can
be divided by its mean among all rows. Those of text are shares: of characters, or of
the lines that are not blank, by their length. What pads a row counts for none of them.
To add a feature is to add a line to `OF_TEXT` or `OF_TOKENS`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int, Int64

from headwater.corpus.detectors import LATEX, TAG, is_code, is_item, is_table
from headwater.interventions.measures import compressed, ngrams, rarity, unpadded

FAR = 64  # tokens between two occurrences that are far apart
_KEYED = re.compile(r"""^\s*["']?[\w.$-]{1,40}["']?\s*[:=]\s*\S""")
_WORD = re.compile(r"\w+")

Tokens = Int[np.ndarray, "rows width"]
Counts = Int64[np.ndarray, " ids"]
Numbers = Float64[np.ndarray, " rows"]


class OfText(NamedTuple):
    """A feature of a row's text: its words for people, its group, what computes it."""

    words: str
    group: str
    value: Callable[[str], float]


class OfTokens(NamedTuple):
    """A feature of rows' token ids; how often each id is in the corpus is given."""

    words: str
    group: str
    values: Callable[[Tokens, Counts], Numbers]


def _share_of_characters(pattern: re.Pattern[str]) -> Callable[[str], float]:
    def value(text: str) -> float:
        return sum(len(found[0]) for found in pattern.finditer(text)) / max(
            1, len(text)
        )

    return value


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _share(lines: Sequence[str], kept: Iterable[bool]) -> float:
    """Of the lines' length, what those that are kept have."""
    total = sum(map(len, lines))
    own = sum(len(line) for line, keep in zip(lines, kept, strict=True) if keep)
    return own / max(1, total)


def _share_of_lines(keep: Callable[[str], object]) -> Callable[[str], float]:
    def value(text: str) -> float:
        lines = _lines(text)
        return _share(lines, (bool(keep(line)) for line in lines))

    return value


def _repeated_lines(text: str) -> float:
    lines = _lines(text)
    first: dict[str, int] = {}
    places = [first.setdefault(line, place) for place, line in enumerate(lines)]
    return _share(lines, (place < own for own, place in enumerate(places)))


def _template_lines(text: str) -> float:
    """Lines that are the line before them with other words and numbers."""
    lines = _lines(text)
    forms = [_WORD.sub("w", line) for line in lines]
    return _share(
        lines,
        [
            form == before and form != "w" and line != other
            for form, before, line, other in zip(
                forms, ["", *forms], lines, ["", *lines], strict=False
            )
        ],
    )


def _repeated(length: int, least: int) -> Callable[[Tokens, Counts], Numbers]:
    """Share of n-grams whose last occurrence in the row is `least` tokens before."""

    def values(tokens: Tokens, counts: Counts) -> Numbers:
        found = ngrams(tokens, length)
        starts = np.arange(found.shape[1])
        own = np.maximum(0, unpadded(tokens) - length + 1)
        order = np.argsort(found, axis=1, kind="stable")
        ordered = np.take_along_axis(found, order, axis=1)
        same = ordered[:, 1:] == ordered[:, :-1]
        far = same & (np.diff(order, axis=1) >= least)
        again = np.zeros(found.shape, bool)
        np.put_along_axis(again, order[:, 1:], far, axis=1)
        kept = again & (starts < own[:, None])
        return np.asarray(kept.sum(axis=1) / np.maximum(1, own), np.float64)

    return values


def _ratio(tokens: Tokens, counts: Counts) -> Numbers:
    bytes_ = 4 * tokens.shape[1]  # as `compressed` packs ids
    return np.asarray(bytes_ / compressed(tokens), np.float64)


def _runs(tokens: Tokens, counts: Counts) -> Numbers:
    own = unpadded(tokens)
    inside = np.arange(1, tokens.shape[1]) < own[:, None]
    same = (tokens[:, 1:] == tokens[:, :-1]) & inside
    return np.asarray(same.sum(axis=1) / np.maximum(1, own), np.float64)


STRUCTURE, REPETITION, OTHER = "structure", "repetition", "other"

OF_TEXT = {
    "markup": OfText("tags, such as <p>", STRUCTURE, _share_of_characters(TAG)),
    "latex": OfText(
        r"commands of LaTeX, such as \frac", STRUCTURE, _share_of_characters(LATEX)
    ),
    "tables": OfText("lines of cells or numbers", STRUCTURE, _share_of_lines(is_table)),
    "lists": OfText("lines that are items", STRUCTURE, _share_of_lines(is_item)),
    "code": OfText("lines like a program's", STRUCTURE, _share_of_lines(is_code)),
    "keys_and_values": OfText(
        "lines such as name: value", STRUCTURE, _share_of_lines(_KEYED.match)
    ),
    "digits": OfText("digits", STRUCTURE, _share_of_characters(re.compile(r"\d+"))),
    "repeated_lines": OfText(
        "lines that stand above, too", REPETITION, _repeated_lines
    ),
    "template_lines": OfText(
        "lines that are the one above with other words", REPETITION, _template_lines
    ),
}

OF_TOKENS = {
    "repeats_2": OfTokens(
        "pairs of tokens that stand before, too", REPETITION, _repeated(2, 1)
    ),
    "repeats_4": OfTokens(
        "4-grams of tokens that stand before, too", REPETITION, _repeated(4, 1)
    ),
    "repeats_8": OfTokens(
        "8-grams of tokens that stand before, too", REPETITION, _repeated(8, 1)
    ),
    "far_repeats": OfTokens(
        f"4-grams that come again after {FAR} tokens or more",
        REPETITION,
        _repeated(4, FAR),
    ),
    "runs": OfTokens("tokens like the one before", REPETITION, _runs),
    "gzip": OfTokens("how many times smaller gzip makes it", REPETITION, _ratio),
    "rarity": OfTokens("mean surprise of its tokens alone, nats", OTHER, rarity),
    "length": OfTokens(
        "tokens that are no padding",
        OTHER,
        lambda tokens, counts: unpadded(tokens).astype(np.float64),
    ),
}

FEATURES: dict[str, OfText | OfTokens] = {**OF_TEXT, **OF_TOKENS}


def measure(
    tokens: Tokens, texts: Sequence[str], counts: Counts
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """Every feature of some rows, by its name.

    Args:
        texts: of the rows, without special tokens.
        counts: how often each id is in the corpus.
    """
    found = {
        name: np.array([feature.value(text) for text in texts], np.float64)
        for name, feature in OF_TEXT.items()
    }
    return found | {
        name: feature.values(tokens, counts) for name, feature in OF_TOKENS.items()
    }
