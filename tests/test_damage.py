"""What is done to a result, the next stage tells in one line, or it ends the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clone import REPOSITORY, contents, make_clone, run

pytestmark = [pytest.mark.workflow, pytest.mark.long]


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke experiment with another seed."""
    clone = make_clone(tmp_path_factory.mktemp("other"))
    config = clone / "config/smoke.yaml"
    text = config.read_text(encoding="utf-8")
    assert text.count("\nseed: ") == 1
    config.write_text(text.replace("\nseed: ", "\nseed: 7"), encoding="utf-8")
    result = run(clone)
    assert result.returncode == 0, result.stdout[-4000:]
    return clone


@pytest.fixture(scope="module")
def matrix(
    smoke_run: Path, other_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """What `damage.py` found."""
    clone = tmp_path_factory.mktemp("damage") / "clone"
    shutil.copytree(smoke_run, clone, symlinks=True)
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("scripts", "tests"))
    script = REPOSITORY / "tests/damage.py"
    done = subprocess.run(
        [sys.executable, script, clone, other_run, "config/smoke.yaml"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def is_told(said: str, name: str) -> bool:
    """Whether one line, and no traceback, says what is wrong with a file."""
    errors = [line for line in said.splitlines() if "ERROR: " in line]
    return len(errors) == 1 and name in errors[0] and "Traceback" not in said


def test_no_damage_is_silent(matrix):
    cases = matrix["damaged"]
    assert len(cases) > 300
    assert {case["damage"] for case in cases} == {
        *("removed", "purged", "emptied", "cut", "flipped", "edited"),
        *("replaced", "replaced_with_record"),
    }
    wrong = [
        (case["result"], case["damage"], case["rule"], case["said"][-500:])
        for case in cases
        if not (
            (case["code"] == 1 and is_told(case["said"], case["result"]))
            or (case["code"] == 0 and case["outputs_are_the_same"])
        )
    ]
    assert wrong == []


def test_every_rule_that_reads_a_result_was_tried(matrix):
    tried = {case["rule"] for case in matrix["damaged"]}
    every = {case["rule"] for case in matrix["full"]}
    assert every - tried == {"train_tokenizer"}  # it reads the user's text


def test_a_full_disk_is_told_in_one_line_and_the_rerun_ends_the_same(matrix):
    wrong = [
        case
        for case in matrix["full"]
        if not (case["code"] == 1 and is_told(case["said"], ""))
        or case["half"]
        or not case["the_same_later"]
    ]
    # It links checkpoints, which takes no space.
    assert [case for case in wrong if case["rule"] != "select_window"] == []


def test_what_was_removed_comes_back_the_same(smoke_run, tmp_path):
    """Each of some results of early, middle and late stages, all at once."""
    clone = tmp_path / "clone"
    shutil.copytree(smoke_run, clone, symlinks=True)
    results, before = clone / "results/smoke", contents(clone)
    for name in ("heads/scores.tsv", "influence/induction.tsv", "report/summary.md"):
        (results / name).unlink()
    for name in ("gradients/start/0001.zarr", "evaluation/remove_top"):
        shutil.rmtree(results / name)
    result = run(clone)
    assert result.returncode == 0, result.stdout[-4000:]
    assert contents(clone) == before


def test_a_finished_run_copied_without_its_times_is_finished(smoke_run, tmp_path):
    """Copied whole; its results alone, into a fresh clone; and touched in any order."""
    whole, fresh = tmp_path / "whole", make_clone(tmp_path / "fresh")
    shutil.copytree(smoke_run, whole, symlinks=True, copy_function=shutil.copyfile)
    shutil.copytree(
        smoke_run / "results", fresh / "results", copy_function=shutil.copyfile
    )
    for clone in (whole, fresh):
        assert "Nothing to be done" in run(clone, "-n").stdout
    for number, path in enumerate(sorted(whole.rglob("*"), reverse=True)):
        os.utime(path, (number, number), follow_symlinks=False)
    assert "Nothing to be done" in run(whole, "-n").stdout
