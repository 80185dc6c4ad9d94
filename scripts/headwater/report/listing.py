"""Rows as lines of a terminal: text made harmless, the strongest tokens marked."""

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer

from headwater.corpus.rows import Rows
from headwater.report.visible import plain

WIDTH = 72
PLACE = 26
STRONGEST = 6  # tokens of a row that are marked
INDENT = " " * 10


def decoded(tokens: np.ndarray | Sequence[int], tokenizer: Tokenizer) -> str:
    """Text of token ids on one line, every unseen character as an escape."""
    ids = [int(token) for token in tokens]
    return plain(tokenizer.decode(ids, skip_special_tokens=False))


def document(rows: Rows, row: int, whole: bool = False) -> str:
    """Where a row's text is from: its first document, and how many more.

    Args:
        row: its global number.
        whole: with the characters, and every document.
    """
    places = [plain(span.place) for span in rows.spans(row)]
    if whole:
        return "; ".join(places)
    more = f" +{len(places) - 1}" if len(places) > 1 else ""
    return places[0].partition(", characters")[0] + more


def pieces(
    tokens: np.ndarray, scores: np.ndarray, tokenizer: Tokenizer
) -> Iterator[tuple[str, float]]:
    """Tokens as (text, score); those that share a character come together."""
    waiting: list[int] = []
    total = 0.0
    for place, (token, score) in enumerate(zip(tokens, scores, strict=True)):
        waiting.append(int(token))
        total += float(score)
        text = tokenizer.decode(waiting, skip_special_tokens=False)
        if text.endswith("\ufffd") and place + 1 < len(tokens) and len(waiting) < 4:
            continue
        yield text, total
        waiting, total = [], 0.0


def text_lines(
    tokens: np.ndarray,
    tokenizer: Tokenizer,
    parts: np.ndarray | None,
    whole: bool,
) -> Iterator[str]:
    """What stands below a row: all of its text, and which tokens its score is of.

    Args:
        tokens: token ids.
        parts: of the score, of every token but the last; None if not wanted.
        whole: the text to its end, with the strongest tokens marked in it.
    """
    if parts is None:
        if whole:
            yield from _wrapped(decoded(tokens, tokenizer))
        return
    found = list(pieces(tokens, np.append(parts, 0.0), tokenizer))
    sizes = np.abs([score for _, score in found])
    order = np.argsort(-sizes, kind="stable")[:STRONGEST].tolist()
    strongest = {place for place in order if sizes[place] > 0}
    if whole:
        marked = [
            f"[{plain(text)}]{{{score:+.3g}}}" if i in strongest else plain(text)
            for i, (text, score) in enumerate(found)
        ]
        yield from _wrapped("".join(marked))
    else:
        named = [
            f'"{plain(found[i][0])}" {found[i][1]:+.3g}' for i in sorted(strongest)
        ]
        yield f"{INDENT}tokens: {' · '.join(named)}"
    share = sizes[list(strongest)].sum() / max(sizes.sum(), 1e-30)
    yield (
        f"{INDENT}{len(strongest)} of {len(found)} tokens make {share:.0%} of all that "
        f"moves the score; their sum, the exact score, is {float(parts.sum()):+.4g}"
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH + 20,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        drop_whitespace=False,
        break_on_hyphens=False,
    ) or [INDENT]
