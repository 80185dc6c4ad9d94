"""Section `catalysts` of the page: from its two files, escaped, absent without them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import HeadwaterError
from headwater.report.page.build import build
from headwater.report.page.catalysts import MOST_MOTIFS, read_catalysts
from page_example import report_of, run_of
from test_report_page import HOSTILE, Page, sections


def line(view: str, band: str, ratio: float | None, **keys: Any) -> dict[str, Any]:
    found = {"view": view, "band": band, "kind": "feature", "name": "repeats_8"}
    return {**found, "ratio": ratio, "low": 1.25, "high": None, **keys}


def about(name: str = "html") -> dict[str, Any]:
    domain = {"kind": "domain", "name": name, "low": None}
    held = {"rows": 0.1, "mass": 0.4, "low": 0.35, "high": 0.45}
    return {
        "documents": 30,
        "features": {"repeats_8": {"words": f"8-grams {name}", "group": "repetition"}},
        "enrichment": [
            line("all", "top_10", 1.75, high=2.5),
            line("domain and loss", "top_10", 1.5, high=2.0),
            line("all", "bottom_10", 0.5, high=1.5),
            line("all", "top_1", 9.75, high=2.0),
            line("all", "top_10", None, **domain),
        ],
        "lorenz": {"positive": {"mass": 1.0, "held": [held]}},
        "regression": {
            "r2": 0.25,
            "groups": [{"group": "repetition", "alone": 0.125, "lost": 0.0625}],
        },
    }


def motifs(text: str = "<b>", many: int = 1) -> dict[str, Any]:
    motif = {
        "name": "motif-1",
        "skeleton": f"{text}{{A}}",
        "elements": [{"slot": "A"}],
        "slots": {"A": {"length": [1, 2]}},
        "domain": text,
        "evidence": {"mass": 0.125, "top_rows": 0.5, "random_rows": 0.0625},
        "examples": [{"text": text * 3}],
    }
    return {"format": 1, "motifs": [motif] * many}


def known(folder: Path, first: Any = None, second: Any = None):
    paths: dict[str, list[str]] = {"json": [], "motifs.json": []}
    for end, value in (("json", first), ("motifs.json", second)):
        if value is not None:
            path = folder / f"induction.{end}"
            path.write_text(json.dumps(value))
            paths[end].append(str(path))
    return read_catalysts(paths["json"], paths["motifs.json"])


@pytest.fixture(scope="module")
def run():
    return run_of()


def test_a_run_that_did_not_ask_has_no_such_section(run) -> None:
    page = build(run).html
    assert "catalysts" not in sections(page)
    assert "Catalysts:" not in page


def test_the_section_has_what_the_files_say(run, tmp_path: Path) -> None:
    page = build(replace(run, catalysts=known(tmp_path, about(), motifs()))).html
    order = sections(page)
    assert order[order.index("domains") + 1] == "catalysts"
    text = Page(page).text
    assert "A tenth of all rows holds 40.0 % [35.0 %, 45.0 %] of the positive" in text
    assert "1.750 [1.250, 2.500]" in text
    assert "1.500 [1.250, 2.000]" in text
    assert "0.500 [1.250, 1.500]" in text
    assert "9.750" not in text  # of a band that is not shown
    assert "explains 25.0 % of them" in text
    assert "+0.125" in text
    assert "<b>{A}" in text
    assert "12.5 %" in text
    assert report_of(page)["targets"]  # the script's data are as they were


def test_either_file_is_enough(run, tmp_path: Path) -> None:
    only = Page(build(replace(run, catalysts=known(tmp_path, about()))).html).text
    assert "repeats_8" in only
    assert "Skeleton" not in only
    found = known(tmp_path, None, motifs(many=0))
    text = Page(build(replace(run, catalysts=found)).html).text
    assert "No skeleton is more frequent" in text
    assert "repeats_8" not in text


def test_more_motifs_than_are_shown_are_told(run, tmp_path: Path) -> None:
    found = known(tmp_path, None, motifs(many=MOST_MOTIFS + 5))
    text = Page(build(replace(run, catalysts=found)).html).text
    assert text.count("<b>{A}") == MOST_MOTIFS
    assert "5 more stand in the file of motifs." in text


def test_nothing_in_the_files_can_act(run, tmp_path: Path) -> None:
    plain = Page(build(run).html)
    bad = HOSTILE.replace("\ud800", "")
    hostile = known(tmp_path, about(bad), motifs(bad))
    page = Page(build(replace(run, catalysts=hostile)).html)
    assert len(page.scripts) == len(plain.scripts)
    assert "<script>window.canary=1</script>" in page.text  # as text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in page.text.replace("\\u202e", "")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}'])
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "induction.json"
    path.write_text(text)
    with pytest.raises(HeadwaterError, match=r"induction\.json: not readable") as found:
        read_catalysts([str(path)], [])
    assert "\n" not in str(found.value)
