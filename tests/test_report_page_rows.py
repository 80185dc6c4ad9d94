"""The rows in the page: which they are, and that columns decode to what went in."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.influence import QUANTILES
from headwater.influence.shown import BOTTOM, DRAWN, TOP, shown_rows
from headwater.report.page.build import build
from headwater.report.page.fidelity import correlation_interval
from headwater.report.page.rows import LEVELS, Shown
from headwater.report.page.spans import MOST, SHORTEST, repeats
from headwater.report.page.values import Column, unpacked
from page_example import columns_of, report_of, run_of


def config(rows: int | str, seed: int = 0) -> dict:
    return {"seed": seed, "report": {"rows": rows}}


SCORES = np.random.default_rng(0).normal(size=5000)


def test_the_tips_and_drawn_rows_are_shown() -> None:
    found = shown_rows(SCORES, "a", config(100))
    order = np.argsort(-SCORES, kind="stable")
    assert {*np.flatnonzero(found.why & TOP)} == {*order[:100]}
    assert {*np.flatnonzero(found.why & BOTTOM)} == {*order[-100:]}
    drawn = found.ranks[np.flatnonzero(found.why & DRAWN)]
    assert len(drawn) == QUANTILES
    # One from each of 500 equal stretches of the ranking.
    assert sorted((drawn - 1) * QUANTILES // len(SCORES)) == list(range(QUANTILES))
    assert found.kept.tolist() == np.flatnonzero(found.why).tolist()
    assert found.ranks[order].tolist() == list(range(1, 5001))


def test_another_seed_or_target_draws_others() -> None:
    def drawn(target: str, seed: int) -> set[int]:
        why = shown_rows(SCORES, target, config(10, seed)).why
        return {*np.flatnonzero(why & DRAWN)}

    assert drawn("a", 0) == drawn("a", 0)
    assert drawn("a", 0) != drawn("b", 0) != drawn("b", 1)


@pytest.mark.parametrize("rows", ["all", 2250, 4000])
def test_every_row_is_shown_where_few_would_be_left_out(rows) -> None:
    assert len(shown_rows(SCORES, "a", config(rows)).kept) == len(SCORES)
    assert len(shown_rows(SCORES, "a", config(2240)).kept) < len(SCORES)


def test_ties_and_one_row_are_shown() -> None:
    assert shown_rows(np.zeros(1), "a", config(5)).kept.tolist() == [0]
    assert shown_rows(np.zeros(9), "a", config(1)).ranks.tolist() == list(range(1, 10))


# Columns


@pytest.fixture(scope="module")
def run():
    return run_of(steps=100, rows=20)


@pytest.fixture(scope="module")
def page(run) -> str:
    return build(run).html


@pytest.fixture(scope="module")
def columns(page) -> dict[str, np.ndarray]:
    return columns_of(page)


@pytest.mark.parametrize("kind", ["u8", "u16", "u32", "i8", "f32"])
def test_a_column_decodes_to_what_went_in(kind) -> None:
    values = np.arange(12).reshape(3, 4)
    column = Column.of("x", kind, values)
    assert column.size == "3,4"
    np.testing.assert_array_equal(unpacked(kind, column.size, column.text), values)
    assert Column.of("x", kind, values).text == column.text


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Column.of("x", "u8", np.array([256]))


def test_columns_of_the_page_are_the_runs_rows(run, columns, page) -> None:
    numbers = columns["row"].astype(int) - run.window.first
    count = len(numbers)
    assert len({*numbers.tolist()}) == count == report_of(page)["rows"]["shown"]
    np.testing.assert_array_equal(columns["tokens"], run.window.take(numbers))
    np.testing.assert_array_equal(columns["step"], run.window.step_of(numbers))
    np.testing.assert_array_equal(columns["domain"], run.window.domains()[numbers])
    np.testing.assert_array_equal(
        columns["loss"], (run.losses / run.length).astype(np.float32)[numbers]
    )
    for place, ranking in enumerate(run.rankings):
        np.testing.assert_array_equal(
            columns[f"score_{place}"], ranking.scores[numbers]
        )
        np.testing.assert_array_equal(
            columns[f"rank_{place}"], ranking.shown.ranks[numbers]
        )


def test_parts_are_known_for_a_targets_own_rows_only(run, columns) -> None:
    numbers = columns["row"].astype(int) - run.window.first
    for place, ranking in enumerate(run.rankings):
        scale = columns[f"scale_{place}"]
        known = np.isin(numbers, ranking.shown.kept)
        np.testing.assert_array_equal(np.isfinite(scale), known)
        own = np.searchsorted(ranking.shown.kept, numbers[known])
        parts = columns[f"parts_{place}"][known] / 127 * scale[known][:, None]
        error = np.abs(parts - ranking.tokens.scores[own]).max(axis=1)
        assert (error <= scale[known] * (0.5 / LEVELS + 1 / 127)).all()
        written = columns[f"written_{place}"]
        np.testing.assert_array_equal(
            written[known], ranking.tokens.written[own][:, :, :3]
        )
        assert (written[~known] == 65535).all()


def test_documents_of_every_row_are_listed(run, columns, page) -> None:
    documents = report_of(page)["documents"]
    numbers = columns["row"].astype(int)
    for place, row in enumerate(numbers.tolist()):
        begin, end = columns["doc_offsets"][place : place + 2].astype(int)
        spans, _ = run.window.rows.span_table(row, row + 1)
        found = [documents[n] for n in columns["doc_index"][begin:end]]
        assert [one["line"] for one in found] == spans[:, 1].tolist()
        assert [one["file"] for one in found] == [
            f"{run.window.rows.sources[s]}.jsonl.zst" for s in spans[:, 0]
        ]
        assert columns["doc_token"][begin:end].tolist() == spans[:, 4].tolist()
        assert columns["doc_start"][begin:end].tolist() == spans[:, 2].tolist()


def test_the_vocabulary_spells_every_row(run, columns, page) -> None:
    known = report_of(page)["vocabulary"]
    for place in range(20):
        raw = b"".join(
            text.encode() if isinstance(text, str) else bytes(text["bytes"])
            for text in (known[str(token)] for token in columns["tokens"][place])
        )
        number = columns["row"][place : place + 1].astype(int) - run.window.first
        (wanted,) = run.encoder.decode_many(list(run.window.take(number)))
        assert raw.decode("utf-8", "replace") == wanted


def test_a_long_row_is_cut_round_its_largest_parts() -> None:
    run = run_of(length=700, steps=4, targets=1)
    ranking = run.rankings[0]
    ranking.tokens.scores[:] = 1e-3
    peak = np.arange(len(ranking.tokens.rows)) * 20 % 700
    ranking.tokens.scores[np.arange(len(peak)), peak] = 5
    shown = Shown.of(run)
    assert shown.tokens.shape == (len(shown.numbers), 257)
    place = np.searchsorted(ranking.tokens.rows, shown.numbers + run.window.first)
    inside = peak[place] - shown.offsets
    assert ((inside >= 0) & (inside < 256)).all()
    whole = run.window.take(shown.numbers)
    for row, offset in enumerate(shown.offsets.tolist()):
        np.testing.assert_array_equal(
            shown.tokens[row], whole[row, offset : offset + 257]
        )
    report = report_of(build(run).html)
    assert (report["rows"]["length"], report["rows"]["held"]) == (700, 256)
    assert "it holds the 256 around" in report["rows"]["sentence"]


def test_the_page_says_how_many_rows_it_leaves_out(page, run) -> None:
    report = report_of(page)
    left = report["rows"]["window"] - report["rows"]["shown"]
    assert left > 0
    assert f"It leaves out the other {left:,}" in report["rows"]["sentence"]
    every = report_of(build(run_of(rows="all")).html)
    assert every["rows"]["sentence"] == "The page holds every row of the window: 160."


# Repeated spans


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=60))
def test_repeated_spans_are_copies_and_lie_apart(row) -> None:
    found = repeats(np.array([row]))
    texts: dict[int, set] = {}
    covered = np.zeros(len(row), int)
    for start, end, name in zip(found.start, found.end, found.id, strict=True):
        assert end - start >= SHORTEST
        texts.setdefault(name, set()).add(tuple(row[start:end]))
        covered[start:end] += 1
    assert covered.max(initial=0) <= 1
    assert all(len(one) == 1 for one in texts.values())
    counts = np.bincount(found.id) if len(found.id) else np.zeros(0)
    assert (counts >= 2).all()
    assert len(found.id) <= MOST


def test_the_longest_repeat_of_a_row_is_marked() -> None:
    row = [9, 1, 2, 3, 4, 5, 8, 1, 2, 3, 4, 5, 7]
    found = repeats(np.array([row, range(13)]))
    assert found.offsets.tolist() == [0, 2, 2]
    spans = list(zip(found.start, found.end, found.id, strict=True))
    assert spans == [(1, 6, 0), (7, 12, 0)]


# Intervals


def test_the_interval_of_a_correlation_covers_it() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=300)
    y = x + generator.normal(size=300)
    low, high = correlation_interval(x, y, np.random.default_rng(0))
    assert 0.5 < low < 0.69 < high < 0.85
    nothing = correlation_interval(x, np.zeros(300), np.random.default_rng(0))
    assert np.isnan(nothing).all()


# Size


@pytest.mark.long
def test_a_hundred_thousand_rows_take_little_memory() -> None:
    code = (
        "import re, sys; sys.path[:0] = ['scripts', 'tests']\n"
        "from page_example import run_of\n"
        "from headwater.report.page.build import build\n"
        "run = run_of(rows='all', steps=12500, length=64, targets=2)\n"
        "page = build(run).html\n"
        # Not `ru_maxrss`, which is no less than that of the process that started it.
        "most = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())\n"
        "print(len(page), most[1])\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    size, most = map(int, done.stdout.split())
    assert most < 2_500_000  # kB
    assert size < 60_000_000
