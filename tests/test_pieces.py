"""Tokens of a row in pieces that spell whole characters."""

import numpy as np
import pytest

from headwater.report.listing import pieces
from letters import BYTES


def pieces_of(text: str, scores: list[float]) -> list[tuple[str, float]]:
    """A text's pieces, byte by byte: what they spell, and their scores."""
    tokens = np.array(BYTES.encode(text).ids)
    assert len(tokens) == len(text.encode())
    return list(pieces(tokens, np.array(scores), BYTES))


@pytest.mark.parametrize("text", ["é", "東", "😀"])
def test_tokens_that_share_a_character_come_together(text: str) -> None:
    count = len(text.encode())
    found = pieces_of(f"a{text}b", [0.5, *[0.125] * count, -0.25])
    assert found == [("a", 0.5), (text, 0.125 * count), ("b", -0.25)]


def test_a_row_reads_as_its_tokens_together() -> None:
    text = "naïve 東京 😀 здравствуй e\u0301\n"
    scores = np.random.default_rng(0).normal(size=len(text.encode()))
    found = pieces_of(text, scores.tolist())
    assert [piece for piece, _ in found] == list(text)
    assert sum(score for _, score in found) == pytest.approx(scores.sum())


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_half_a_character_is_shown_where_a_document_ends(kept: int) -> None:
    """A row may end inside a character; nothing is left out or waited for."""
    tokens = np.array(BYTES.encode("a😀").ids)[: 1 + kept]
    found = list(pieces(tokens, np.ones(1 + kept), BYTES))
    assert found[0] == ("a", 1)
    assert {letter for text, _ in found[1:] for letter in text} == {"\ufffd"}
    assert sum(score for _, score in found) == 1 + kept


def test_tokens_that_never_spell_a_character_do_not_swallow_the_row() -> None:
    byte = BYTES.encode("é").ids[1]  # only ever the second of two
    tokens = np.array([byte, *BYTES.encode("import os").ids])
    found = [text for text, _ in pieces(tokens, np.ones(10), BYTES)]
    assert "".join(found) == "\ufffdimport os"
    assert len(found) >= 7


def test_a_stray_byte_does_not_split_a_later_character() -> None:
    """A row may begin inside a character."""
    tokens = np.array([BYTES.encode("é").ids[1], *BYTES.encode("abé").ids])
    found = [text for text, _ in pieces(tokens, np.ones(5), BYTES)]
    assert found[-1] == "é"
    assert "".join(found) == "\ufffdabé"
