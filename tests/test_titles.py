"""Titles of documents: found in lines of text, kept by line, shown with the rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater import stores
from headwater.corpus.documents import LONGEST_TITLE, title_of
from headwater.corpus.packing import pack_source
from headwater.corpus.titles import TitleWriter, read_titles
from headwater.identity import identity
from headwater.report.page.build import build
from headwater.report.page.data import write_data
from headwater.report.page.inputs import Inputs
from page_example import report_of, run_of
from test_corpus_support import small_config, small_encoder, write_shard

HOSTILE = "</script><script>window.canary=1</script> \u202e"


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ({}, ""),
        ({"title": "On Heads"}, "On Heads"),
        ({"meta": {"title": "a\tb\n c "}}, "a b c"),
        ({"url": "https://a", "metadata": {"title": "b"}}, "b"),
        ({"title": " ", "meta": {"url": "https://a"}}, "https://a"),
        ({"title": 5, "meta": ["title"], "metadata": None, "url": {}}, ""),
        ({"title": "x" * 900}, "x" * LONGEST_TITLE),
    ],
)
def test_a_title_is_the_first_that_has_words(line, title) -> None:
    assert title_of({"text": "t", **line}) == title


def test_titles_are_kept_with_the_packed_rows(tmp_path) -> None:
    config = small_config()
    lines: list[dict[str, str]] = [
        {"text": "one " * 9, "title": "é\u202e\ud800"},
        {"text": "two"},
        {"text": "", "title": "of no text"},
        {"text": "4", "url": "https://4"},
    ]
    shard = write_shard(
        tmp_path / "a.jsonl.zst", [json.dumps(one).encode() for one in lines]
    )
    path, stamp = tmp_path / "a.zarr", identity("corpus", config, part="packed")
    pack_source(path, "a", shard, small_encoder(), config, stamp)
    found = read_titles(path, np.array([4, 1, 2, 1, 9]), config)
    assert found == {1: "é\u202e\ufffd", 4: "https://4"}
    assert read_titles(path, np.array([2]), config) == {}


def titled(folder: Path, run: Inputs) -> Inputs:
    """The run, with titles for two documents of source 00, whose rows are in it."""
    path = folder / "00.zarr"
    root = stores.create_group(path, identity("corpus", run.config, part="packed"))
    titles = TitleWriter()
    titles.add(3, f"Water {HOSTILE}")
    titles.add(5, "Another")
    titles.write(root)
    return replace(run, packed={"00": path})


def test_the_page_names_titles_with_documents(tmp_path) -> None:
    run = titled(tmp_path, run_of(rows="all"))
    page = build(run)
    for one in report_of(page.html)["documents"]:
        wanted = {3: f"Water {HOSTILE}", 5: "Another"}.get(one["line"])
        assert one["title"] == (wanted if one["file"].startswith("00") else None)
    assert "<script>window.canary" not in page.html
    assert "\u202e" not in page.html
    assert page.document.report["documents"][0]["title"] == f"Water {HOSTILE}"
    write_data(tmp_path / "data", run, page)
    rows = (tmp_path / "data" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [one for row in rows for one in json.loads(row)["documents"]]
    assert {one["title"] for one in documents} >= {None, "Another"}
