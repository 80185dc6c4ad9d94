"""The HTML pages: hostile text is harmless and visible, every source is shown."""

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from headwater.corpus.rows import Rows, Span
from headwater.influence.files import RowTokens
from headwater.report import pages
from headwater.report.tables import titled
from headwater.report.visible import plain, visible
from test_report_example import example

HOSTILE = "<script>alert(1)</script>&amp;\x00\u202eevil\u202c\u200b</pre><img src=x>"


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


class Letters:
    """Stands in for a tokenizer: a letter is a token."""

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(map(chr, tokens))


LETTERS = cast(Tokenizer, Letters())


def bytewise() -> Tokenizer:
    """A real tokenizer of which every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


BYTES = bytewise()


def page_of(
    first: str,
    second: str = "",
    domain: str = "code",
    scores: np.ndarray | None = None,
    planted: str | None = "records",
    checkpoints: int = 1,
) -> str:
    """The page of one top row made from two documents."""
    spans = [Span("00", 7, 120, 155, 0, domain)]
    if second:
        spans.append(Span("01", 9, 0, 20, len(first), "prose"))
    letters = np.array([[ord(letter) for letter in first + second]])
    rows = SimpleNamespace(tokens=lambda start, stop: letters, spans=lambda row: spans)
    ranked = pd.DataFrame(
        {"rank": [1], "row": [48123], "step": [1503], "domain": [domain]}
    ).assign(score=212.5, loss=180.25)
    if scores is None:
        scores = np.linspace(-1, 1, letters.shape[1] - 1, dtype=np.float32)
    tokens = {48123: RowTokens(scores, np.array([[88, 60], [89, 0]]))}
    top = pages.top_rows(ranked, cast(Rows, rows), LETTERS, tokens, 10)
    choice = example().choice
    targets = [pages.TopRows("induction", choice.targets["induction"], top)]
    return pages.top_rows_page("laptop", targets, choice, 64, planted, checkpoints)


def test_hostile_text_stays_text() -> None:
    page = page_of(HOSTILE + "\ud800", HOSTILE, domain=HOSTILE)
    page.encode("utf-8")  # no lone surrogate is left
    read = Page(page)
    assert {"script", "img"}.isdisjoint(read.tags)
    assert not any(letter in page for letter in "\x00\u202e\u202c\u200b")
    assert read.text.count(r"<script>alert(1)</script>&amp;\x00\u202eevil") == 3
    assert r"</pre><img src=x>\ud800" in read.text


def test_the_page_loads_nothing() -> None:
    page = Page(page_of("text"))
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert not [value for name, value in page.attributes if name in ("src", "href")]
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'",
    ) in page.attributes


def test_a_row_shows_its_facts_and_each_documents_source() -> None:
    text = " ".join(Page(page_of("import os", "Chapter I")).text.split())
    for part in (
        "A positive score means that training more on the row helps the head",
        "score +212.5",
        "step 1,503",
        "loss 180.2",
        "row 48,123",
        "00.jsonl.zst, line 7, characters 120 to 155 import os",
        "01.jsonl.zst, line 9, characters 0 to 20 · domain prose Chapter I",
        r"pushes in X < pushes out Y \x00",
    ):
        assert part in text


def test_generated_rows_are_said_to_be_planted() -> None:
    assert "is no real text" in Page(page_of("a b a b", domain="records")).text
    assert "is no real text" not in Page(page_of("a b a b")).text
    own = page_of("a b a b", domain="records", planted=None)
    assert "generated" not in Page(own).text


def test_scores_of_several_checkpoints_are_said_to_be_means() -> None:
    assert "is the mean over those of" not in Page(page_of("a")).text
    text = Page(page_of("a", checkpoints=3)).text
    assert "is the mean over those of 3 checkpoints" in text


def test_only_the_wanted_rows_are_shown() -> None:
    letters = np.array([[65]])
    span = Span("00", 1, 0, 1, 0, "code")
    rows = SimpleNamespace(tokens=lambda a, b: letters, spans=lambda row: [span])
    ranked = pd.DataFrame({"rank": [1, 2, 3, 1000], "row": [5, 6, 7, 8]}).assign(
        step=1, domain="code", score=1.0, loss=1.0
    )
    known = RowTokens(np.zeros(0, np.float32), np.zeros((2, 0), np.int64))
    shown = dict.fromkeys((5, 6), known)  # no others are known
    top = pages.top_rows(ranked, cast(Rows, rows), LETTERS, shown, 2)
    assert [row.row for row in top] == [5, 6]


# Tokens in pieces


def pieces_of(text: str, scores: list[float]) -> list[tuple[str, float]]:
    """A text's pieces, byte by byte: what they spell, and their scores."""
    tokens = np.array(BYTES.encode(text).ids)
    assert len(tokens) == len(text.encode())
    return list(pages.pieces(tokens, np.array(scores), BYTES))


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
    found = list(pages.pieces(tokens, np.ones(1 + kept), BYTES))
    assert found[0] == ("a", 1)
    assert {letter for text, _ in found[1:] for letter in text} == {"\ufffd"}
    assert sum(score for _, score in found) == 1 + kept


def test_tokens_that_never_spell_a_character_do_not_swallow_the_row() -> None:
    byte = BYTES.encode("é").ids[1]  # only ever the second of two
    tokens = np.array([byte, *BYTES.encode("import os").ids])
    found = [text for text, _ in pages.pieces(tokens, np.ones(10), BYTES)]
    assert "".join(found) == "\ufffdimport os"
    assert len(found) >= 7


def test_a_stray_byte_does_not_split_a_later_character() -> None:
    """A row may begin inside a character."""
    tokens = np.array([BYTES.encode("é").ids[1], *BYTES.encode("abé").ids])
    found = [text for text, _ in pages.pieces(tokens, np.ones(5), BYTES)]
    assert found[-1] == "é"
    assert "".join(found) == "\ufffdabé"


def passages_of(text: str, scores: list[float], cut: int = 0) -> list[pages.Passage]:
    letters = np.array([[ord(letter) for letter in text]])
    spans = [Span("00", 1, 0, 9, at, "code") for at in sorted({0, cut})]
    rows = SimpleNamespace(tokens=lambda start, stop: letters, spans=lambda row: spans)
    return pages.passages(cast(Rows, rows), 5, LETTERS, np.array(scores, np.float32))


def test_the_last_token_is_only_predicted_and_counts_nothing() -> None:
    (passage,) = passages_of("abc", [1.0, -2.0])
    assert [piece.score for piece in passage.pieces] == [1, -2, 0]
    assert [piece.strength for piece in passage.pieces] == [0.5, -1, 0]


def test_strengths_are_shares_of_the_whole_rows_largest() -> None:
    first, second = passages_of("abcde", [1.0, 2.0, -8.0, 4.0], cut=2)
    assert [piece.text for piece in first.pieces] == ["a", "b"]
    assert [piece.strength for piece in first.pieces] == [0.125, 0.25]
    assert [piece.strength for piece in second.pieces] == [-1, 0.5, 0]


def test_a_row_without_scores_has_no_colour() -> None:
    (passage,) = passages_of("abc", [0.0, 0.0])
    assert [piece.strength for piece in passage.pieces] == [0, 0, 0]


def test_pieces_are_coloured_by_their_share() -> None:
    page = page_of("abcd", scores=np.array([1.0, -2.0, 0.5], np.float32))
    for letter, part in [
        ("a", 'class="helps" style="--s:0.50" title="+1"'),
        ("b", 'class="hinders" style="--s:1.00" title="-2"'),
        ("c", 'class="helps" style="--s:0.25" title="+0.5"'),
    ]:
        assert f"<span {part}>{letter}</span>" in page
    assert '<span class="" style="--s:0.00" title="+0">d</span>' in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n", 'a<span class="mark">⇥\t</span>b<span class="mark">↵\n</span>'),
        ("\x00", '<span class="mark">\\x00</span>'),
        ("\r", '<span class="mark">\\x0d</span>'),
        ("\u2067", '<span class="mark">\\u2067</span>'),
        ("\U000e0041", '<span class="mark">\\U000e0041</span>'),
        ("<é&>", "&lt;é&amp;&gt;"),
        ("\\u202e", "\\u202e"),  # typed by the author: no mark
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_marked(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_names_stay_on_one_line() -> None:
    assert plain("a\n\tb\u202e\x1b[31m") == "a b\\u202e\\x1b[31m"


def test_the_tables_page_holds_every_table() -> None:
    tables = example()
    shown = titled(tables.summary, tables.effects, tables.domains, tables.fidelity)
    page = Page(pages.tables_page("laptop", "a < b", shown))
    assert page.tags.count("table") == 5
    assert page.tags.count("tr") == sum(1 + len(table) for _, table in shown.values())
    assert "a < b" in page.text
    assert "nan" not in page.text.lower()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (48123, "48,123"), (0.12345, "0.123"), (1831.6, "1,832"), ("x", "x")],
)
def test_cells_are_short(value: object, text: str) -> None:
    assert pages.cell(value) == text


def test_a_missing_number_is_a_dash() -> None:
    assert pages.cell(float("nan")) == "–"
