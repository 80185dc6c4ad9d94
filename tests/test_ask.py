"""Questions as they are told, and rows as a terminal shows them."""

from typing import cast

import numpy as np
import pytest
from tokenizers import Tokenizer

from headwater.corpus.rows import Rows, Span
from headwater.errors import HeadwaterError
from headwater.heads.targets import WindowChoice
from headwater.influence.question import Question
from headwater.report.asking import echo, write_answer
from headwater.report.listing import STRONGEST, document, text_lines
from headwater.units import parse
from letters import BYTES, LETTERS
from tiny import TINY

CONFIG = {
    "experiment": "lap\u202etop",
    "influence": {"damping": 0.1},
    "gradients": {"probe_sequences": 200},
}
UNIT = parse("L1H2", TINY, "qkvo")


class Two:
    """Stands in for rows of two documents each."""

    def spans(self, row: int) -> list[Span]:
        name = "a\x1b[31m"
        first = Span(name, 7, 0, 9, 0, "code")
        return [first, Span("01", 1, 0, 20, 4, "prose")]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        (
            Question(UNIT, "copying", None, 0.1),
            "L1H2, probe copying on 200 sequences, damping 0.1 (the config's)",
        ),
        (
            Question(UNIT, "dataset", "mine.jsonl", 2.0, "code"),
            "L1H2 (target code), probe dataset on mine.jsonl, damping 2",
        ),
        (Question(UNIT, None, None, 0.1), "L1H2, rows that act like one"),
    ],
)
def test_what_is_asked_is_told(question, wanted):
    window = {"start": 900, "end": 1450}
    choice = WindowChoice.__new__(WindowChoice)
    object.__setattr__(choice, "window", type("Window", (), window))
    object.__setattr__(choice, "points", [900, 1200])
    first, second = echo(question, CONFIG, "c.yaml", choice, 4400).splitlines()
    assert first == f"asked: {wanted}"
    assert second == (
        r"of lap\u202etop (c.yaml): 4,400 rows, steps 900 to 1,450, at the "
        "checkpoints of steps 900, 1,200"
    )


def test_the_document_of_a_row_is_named_and_cannot_act():
    rows = cast(Rows, Two())
    assert document(rows, 3) == r"a\x1b[31m.jsonl.zst, line 7 +1"
    whole = document(rows, 3, whole=True)
    assert r"a\x1b[31m.jsonl.zst, line 7, characters 0 to 9; 01.jsonl.zst" in whole


def letters(text: str) -> np.ndarray:
    return np.array([ord(letter) for letter in text])


def test_the_strongest_tokens_are_named_in_the_order_of_the_text():
    text = "abcdefgh\x1b"
    parts = np.array([0.1, -3, 0.1, 2, 0.1, 1, 5, -4], np.float32)
    named, summed = text_lines(letters(text), LETTERS, parts, whole=False)
    assert named.strip() == (
        'tokens: "a" +0.1 · "b" -3 · "d" +2 · "f" +1 · "g" +5 · "h" -4'
    )
    share = np.sort(np.abs(parts))[-STRONGEST:].sum() / np.abs(parts).sum()
    assert f"6 of 9 tokens make {share:.0%} of all" in summed
    assert summed.endswith(f"the exact score, is {parts.sum():+.4g}")


def test_the_whole_text_has_its_strongest_tokens_marked():
    text = "".join(map(chr, range(65, 91))) * 8 + "\x00"
    parts = np.zeros(len(text) - 1, np.float32)
    parts[[3, 100]] = 2, -1
    *lines, _ = text_lines(letters(text), LETTERS, parts, whole=True)
    shown = "".join(line.strip() for line in lines)
    assert "ABC[D]{+2}EF" in shown
    assert "[W]{-1}" in shown
    assert shown.endswith(r"\x00")
    unmarked = text_lines(letters(text), LETTERS, None, whole=True)
    plainly = "".join(line.strip() for line in unmarked)
    assert plainly == text[:-1] + r"\x00"
    assert list(text_lines(letters(text), LETTERS, None, whole=False)) == []


def test_tokens_that_share_a_character_come_together():
    ids = np.array(BYTES.encode("xé").ids)
    named, _ = text_lines(ids, cast(Tokenizer, BYTES), np.array([1.0, 2.0]), False)
    assert named.strip() == 'tokens: "x" +1 · "é" +2'


def test_an_answer_is_written_whole_or_the_place_is_named(tmp_path):
    write_answer(str(tmp_path / "new" / "x.tsv"), "row\n1\n")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.tsv"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(HeadwaterError, match="folder: cannot write"):
        write_answer(str(tmp_path / "folder"), "")
