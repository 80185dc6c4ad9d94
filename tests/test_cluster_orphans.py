"""Jobs of a killed run, ended before a new run begins."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fake_slurm import DOWN, FakeSlurm, install
from headwater.cluster.orphans import (
    RUN_VARIABLE,
    end_earlier_run,
    forget_run,
    record_path,
    remember_run,
)
from headwater.errors import HeadwaterError

RUN = "headwater_72f5139d-90e9-4bed-9b10-83c8e275b919"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    return install(tmp_path, monkeypatch)


@pytest.fixture
def record(slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = record_path("smoke")
    monkeypatch.setenv(RUN_VARIABLE, "")  # put back after the test
    remember_run(path, RUN)
    monkeypatch.delenv(RUN_VARIABLE)
    return path


def test_a_first_run_asks_slurm_nothing(slurm: FakeSlurm) -> None:
    end_earlier_run(record_path("smoke"))
    assert not slurm.log.exists()


def test_a_run_that_ended_well_leaves_no_record(record: Path, slurm: FakeSlurm) -> None:
    forget_run(record)
    end_earlier_run(record)
    assert not slurm.log.exists()


def test_experiments_have_records_of_their_own(record: Path, slurm: FakeSlurm) -> None:
    end_earlier_run(record_path("other"))
    assert not slurm.log.exists()


def test_no_jobs_left_nothing_cancelled(record: Path, slurm: FakeSlurm) -> None:
    end_earlier_run(record)
    assert slurm.calls("squeue") == [f"--me -h -n {RUN} -o %i|%T"]
    assert not slurm.calls("scancel")


def test_jobs_are_cancelled_and_waited_for(
    record: Path, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    two = "45|RUNNING\n46|PENDING"
    slurm.says("squeue", two, two, "45|COMPLETING", "45|COMPLETING", "")
    end_earlier_run(record, sleep=lambda seconds: None)
    assert slurm.calls("scancel") == ["45 46"]
    assert len(slurm.calls("squeue")) == 5
    told = capsys.readouterr().err
    assert f"2 jobs of an earlier run ({RUN})" in told
    assert told.count("1 left") == 1


def test_jobs_that_never_end_are_named(record: Path, slurm: FakeSlurm) -> None:
    slurm.says("squeue", "45|COMPLETING")
    waited = []
    with pytest.raises(HeadwaterError, match=r"45 \(COMPLETING\); their nodes may"):
        end_earlier_run(record, sleep=waited.append)
    assert 600 <= sum(waited) < 620
    assert json.loads(record.read_text(encoding="utf-8")) == {
        "runs": [RUN]
    }  # the next run knows


@pytest.mark.parametrize(
    ("answer", "words"),
    [((f"slurm_load_jobs error: {DOWN}", 1), "connect failure"), (None, "not found")],
)
def test_without_squeue_one_line(
    record: Path, slurm: FakeSlurm, answer: tuple[str, int] | None, words: str
) -> None:
    if answer:
        slurm.says("squeue", answer)
    else:
        (slurm.folder / "squeue").unlink()
    with pytest.raises(HeadwaterError, match=words) as caught:
        end_earlier_run(record)
    assert "\n" not in str(caught.value)
    assert record.exists()


def start(run: str, **more: str) -> subprocess.Popen[bytes]:
    """A process that a run would have left."""
    code = "print(flush=True); import time; time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, RUN_VARIABLE: run, **more},
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    return process


def test_local_jobs_of_the_dead_run_are_killed_and_no_others(record: Path) -> None:
    left, other = start(RUN), start("headwater_another")
    on_node = start(RUN, SLURM_JOB_ID="45")  # a one-machine cluster: SLURM ends it
    try:
        end_earlier_run(record)
        assert left.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert on_node.poll() is None
    finally:
        for process in (left, other, on_node):
            process.kill()
            process.wait()


def test_an_sbatch_on_its_way_is_waited_for(record: Path, slurm: FakeSlurm) -> None:
    sleeper = slurm.folder / "sbatch"
    sleeper.unlink()
    sleeper.symlink_to("/bin/sleep")
    process = subprocess.Popen([sleeper, "60"], env={RUN_VARIABLE: RUN})
    try:
        end_earlier_run(record, sleep=lambda seconds: process.terminate())
        assert process.wait(10) == -signal.SIGTERM  # by this test, not killed
    finally:
        process.kill()
        process.wait()
