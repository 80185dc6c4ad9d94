"""Columns that are too much for one file stand beside the page, whole and alike."""

import json
import re

import numpy as np
import pytest

from headwater.report.page.build import build
from headwater.report.page.chunks import RECEIVER, chunks
from headwater.report.page.data import write_data
from headwater.report.page.values import Column, script_json, unpacked
from page_example import columns_of, run_of


def column(name: str, size: int) -> Column:
    return Column(name, "u8", (size,), "A" * size)


@pytest.mark.parametrize(
    ("most", "beside"),
    [(100, ""), (60, ""), (59, "d"), (45, "c"), (30, "cd"), (3, "abcd"), (0, "abcd")],
)
def test_what_comes_first_stays_as_far_as_it_fits(most, beside) -> None:
    columns = [column("a", 10), column("b", 10), column("c", 25), column("d", 10)]
    found = chunks(columns, "12345", most)
    assert [one.name for one in found.beside] == list(beside)
    assert [one for one in columns if one not in found.beside] == found.inside
    assert 5 + sum(len(one.text) for one in found.inside) <= max(most, 5)


def test_the_key_is_that_of_all_data() -> None:
    columns = [column("a", 10), column("b", 20)]
    key = chunks(columns, "text", 15).key
    assert key == chunks(columns, "text", 1000).key
    assert re.fullmatch("[0-9a-f]{32}", key)
    others = [chunks(columns, "other"), chunks(columns[:1], "text")]
    assert key not in {one.key for one in others}


def test_files_beside_the_page_hold_what_it_does_not(tmp_path) -> None:
    run = run_of()
    whole = build(run)
    room = len(script_json(whole.document.report)) + 5000
    parted = build(run, most=room)
    assert parted.chunks.inside
    assert parted.chunks.beside
    write_data(tmp_path / "data", run, parted)
    found = columns_of(parted.html)
    for one in parted.chunks.beside:
        text = (tmp_path / "data" / f"{one.name}.js").read_text(encoding="ascii")
        words = json.loads(f"[{text.removeprefix(f'{RECEIVER}(')[:-3]}]")
        assert words[:2] == [parted.chunks.key, one.name]
        found[one.name] = unpacked(one.kind, one.size, words[2])
    wanted = columns_of(whole.html)
    assert {*found} == {*wanted}
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)


def test_the_policy_trusts_files_of_a_parted_page_only() -> None:
    run = run_of(targets=1)
    whole, parted = build(run), build(run, most=0)
    assert "'nonce-" not in whole.html
    assert not whole.chunks.files()
    assert f"nonce-{parted.chunks.key}" in parted.html
    assert "has to stay beside it" in parted.html
