"""What a script does at SIGTERM within a SLURM job, without a SLURM."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fake_slurm import FakeSlurm, install
from headwater.imports import ROOT
from headwater.preemption import requeued

RUNNING = "JobId=7 JobState=RUNNING Reason=None PreemptTime=2026-11-25T02:08:07"
SCRIPT = """
import signal
from types import SimpleNamespace
from headwater import job
config = {"experiment": "x"}
one = SimpleNamespace(log=["job.log"], threads=1, config=config, input=[], output=[])
with job.start(one):
    print("working", flush=True)
    signal.pause()
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """A SLURM that asks job 7 to give way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    fake = install(tmp_path, monkeypatch)
    fake.says("scontrol", RUNNING, "")
    return fake


def terminate(tmp_path: Path) -> tuple[int, str]:
    """SIGTERM to a script at work: its exit code and its log."""
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with script:
        assert script.stdout.readline() == "working\n"
        script.terminate()
        return script.wait(30), (tmp_path / "job.log").read_text()


def test_a_pre_empted_job_is_requeued(slurm, tmp_path):
    code, log = terminate(tmp_path)
    assert code == -signal.SIGTERM
    assert slurm.calls("scontrol") == ["--oneliner show job 7", "requeue 7"]
    assert "pre-empts this job" in log


@pytest.mark.parametrize(
    "answer",
    [
        RUNNING.replace("RUNNING", "COMPLETING"),  # of a grace time that is over
        "JobId=7 JobState=CANCELLED Reason=None PreemptTime=None",  # scancel
        "JobId=7 JobState=RUNNING Reason=None PreemptTime=None",  # kill by hand
        "JobId=7 JobState=RUNNING Reason=None",
        ("slurm_load_jobs error: Unable to contact slurm controller", 1),
    ],
)
def test_any_other_job_just_ends(slurm, tmp_path, answer):
    slurm.says("scontrol", answer)
    code, log = terminate(tmp_path)
    assert code == -signal.SIGTERM
    assert slurm.calls("scontrol") == ["--oneliner show job 7"]
    assert log == ""


def test_a_requeue_that_is_refused_is_an_end(slurm, tmp_path):
    slurm.says("scontrol", RUNNING, ("Requeue is not permitted", 1))
    code, log = terminate(tmp_path)
    assert code == -signal.SIGTERM
    assert log == ""


def test_without_scontrol_a_job_ends(slurm, tmp_path):
    (slurm.folder / "scontrol").unlink()
    assert terminate(tmp_path) == (-signal.SIGTERM, "")


def test_outside_slurm_nothing_is_asked(slurm, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID")
    assert terminate(tmp_path) == (-signal.SIGTERM, "")
    assert slurm.calls("scontrol") == []


def test_the_handler_is_there_during_the_work_only(slurm):
    before = signal.getsignal(signal.SIGTERM)
    with requeued():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
