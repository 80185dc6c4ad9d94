"""Published revisions: equal ones are told, and all of them named in the report."""

import json
import logging
import os
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.checkpoints.published import SOURCE_FILE, published, tell_equal_revisions
from headwater.errors import HeadwaterError
from headwater.report.page.build import build
from headwater.report.tables import published_table
from model_hub import REPO, write_revision
from page_example import run_of
from test_checkpoint_source import WEIGHTS, fetch, folder_config, hub_config
from test_checkpoint_strangers import in_parts
from test_corpus_support import SCRIPTS, Named


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("headwater"), "propagate", True)
    return lambda: set(caplog.messages)


def sources(folder: Path, hashes: list[str]) -> list[Path]:
    """Checkpoints with the records of files with these hashes."""
    found = []
    for step, weights in enumerate(hashes):
        found.append(folder / f"step{step}")
        found[-1].mkdir(parents=True)
        record = {
            "folder": "models",
            "revision": f"step{step}",
            "sha256": {"config.json": "c" * 64, WEIGHTS: weights},
        }
        (found[-1] / SOURCE_FILE).write_text(json.dumps(record))
    return found


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6))
def test_equal_revisions_are_told_by_name(tmp_path_factory, hashes):
    folders = sources(tmp_path_factory.mktemp("s"), hashes)
    if len(hashes) > 1 and hashes[0] == hashes[-1]:
        with pytest.raises(HeadwaterError) as caught:
            tell_equal_revisions(folders)
        last = f"step{len(hashes) - 1}"
        assert str(caught.value).startswith(
            f"checkpoints.revisions: step0 and {last}, the first and the last, have "
            f"the same weights in models (SHA-256 {hashes[0]}); take"
        )
    else:
        tell_equal_revisions(folders)


@pytest.mark.parametrize(
    ("hashes", "told"),
    [
        ("abc", None),
        ("aab", "step0 = step1"),
        ("abbcc", "step1 = step2, step3 = step4"),
        ("abcbd", "step1 = step3"),
        ("a", None),
        ("", None),
    ],
)
def test_one_line_names_the_equal_ones(tmp_path, warnings, hashes, told):
    tell_equal_revisions(sources(tmp_path, list(hashes)))
    lines = warnings()
    assert len(lines) == (told is not None)
    assert all(f"under several names: {told}; curves" in line for line in lines)


def test_files_with_the_same_bytes_are_equal_however_they_come(tmp_path, warnings):
    for step, seed in ((0, 1), (4, 2), (8, 2)):
        write_revision(tmp_path / "m" / f"step{step}", seed)
    in_parts(tmp_path / "m" / "step16")
    in_parts(tmp_path / "m" / "step32")
    config = folder_config(tmp_path / "m")
    steps = [f"step{step}" for step in (0, 4, 8, 16, 32)]
    folders = [fetch(tmp_path / "out" / step, step, config) for step in steps]
    tell_equal_revisions(folders)
    [line] = warnings()
    assert "step4 = step8, step16 = step32;" in line
    with pytest.raises(HeadwaterError, match="step16 and step32, the first and"):
        tell_equal_revisions(folders[3:])


def test_a_trained_baseline_has_nothing_to_tell(tmp_path, warnings):
    tell_equal_revisions([tmp_path / "step0", tmp_path / "step8"])
    assert not warnings()
    assert published_table([tmp_path / "step0"]) == {}


def test_the_scoring_job_tells_before_it_computes(tmp_path):
    """There is no model in these folders, and no held-out text: neither is missed."""
    folders = sources(tmp_path / "c", list("aba"))
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    job = SimpleNamespace(
        input=Named(
            {"checkpoints": folders, "held_out": nothing, "tokenizer": nothing}
        ),
        output=[tmp_path / "scores.tsv"],
        config={"experiment": "x", "heads": {}},
        threads=1,
        log=[str(tmp_path / "log")],
    )
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPTS / "score_heads.py"), {"snakemake": job})
    [line] = (tmp_path / "log").read_text().splitlines()
    assert "ERROR: checkpoints.revisions: step0 and step2, the first and" in line


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": {}}'])
def test_a_damaged_record_is_one_line(tmp_path, text):
    [folder] = sources(tmp_path, ["a"])
    (folder / SOURCE_FILE).write_text(text)
    with pytest.raises(HeadwaterError) as caught:
        published([folder])
    assert str(caught.value).startswith(f"{folder / SOURCE_FILE}: damaged (")


def test_the_report_names_every_revision(model_server, tmp_path):
    config = hub_config()
    folders = []
    for step in (0, 4):
        write_revision(model_server.root / "models" / REPO / f"step{step}", step)
        folders.append(fetch(tmp_path / f"step{step}", f"step{step}", config))
    page = build(replace(run_of(targets=1), published=folders)).html
    for folder in folders:
        record = json.loads((folder / SOURCE_FILE).read_text())
        known = (record["revision"], record["sha256"][WEIGHTS], record["commit"], REPO)
        assert all(word in page for word in known)
    assert os.fspath(tmp_path) not in page
