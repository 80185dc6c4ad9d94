"""Beginning and end of a run, on this machine and on SLURM."""

import gc
import io
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fake_slurm import FakeSlurm, install
from headwater.cluster import preflight
from headwater.cluster.orphans import RUN_VARIABLE
from headwater.console import Console
from headwater.errors import HeadwaterError
from headwater.interruption import JOB_PREFIX
from headwater.logs import QUIET
from headwater.runs import RunGuard

RECORD = Path("results/.smoke.slurm.json")


@pytest.fixture(autouse=True)
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    gc.collect()  # guards of earlier tests: they remove their locks by a relative path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN_VARIABLE, "")  # put back after the test
    return install(tmp_path, monkeypatch)


def workflow(executor: str, failed: tuple[Any, ...] = ()) -> Any:
    made = SimpleNamespace(run_uuid="headwater_1", slurm_logdir=Path("logs/slurm"))
    return SimpleNamespace(
        executor_plugin=SimpleNamespace(name=executor),
        scheduler=SimpleNamespace(_executor=made, failed=list(failed)),
    )


def test_a_local_run_asks_slurm_nothing(slurm: FakeSlurm) -> None:
    RECORD.parent.mkdir()
    RECORD.write_text('{"runs": ["headwater_0"]}', encoding="utf-8")
    guard, local = RunGuard("smoke"), workflow("local")
    guard.begin(local, {})
    guard.explain(local, [])
    guard.finish()
    assert not slurm.log.exists()
    assert RECORD.exists()  # the jobs of a run on SLURM may still be there


def test_the_run_is_known_before_its_first_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "check", lambda *arguments: None)
    guard = RunGuard("smoke")
    guard.begin(workflow("slurm"), {})
    assert json.loads(RECORD.read_text(encoding="utf-8")) == {"runs": ["headwater_1"]}
    RunGuard("smoke").finish()  # of a process that only looks, beside the run
    assert RECORD.exists()
    guard.finish()
    assert not RECORD.exists()


def test_what_is_wrong_ends_the_run_and_keeps_the_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any) -> None:
        raise HeadwaterError("profiles/slurm/config.yaml: wrong")

    monkeypatch.setattr(preflight, "check", refuse)
    RECORD.parent.mkdir()
    RECORD.write_text('{"runs": ["headwater_0"]}', encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        RunGuard("smoke").begin(workflow("slurm"), {})
    assert caught.value.code == 1
    assert capsys.readouterr().err == "profiles/slurm/config.yaml: wrong\n"
    assert json.loads(RECORD.read_text(encoding="utf-8")) == {"runs": ["headwater_0"]}


def test_slurms_logs_are_apart_from_those_of_other_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The plugin empties the folder of a run that ends; others may wait to use it."""
    monkeypatch.setattr(preflight, "check", lambda *arguments: None)
    first, second = workflow("slurm"), workflow("slurm")
    guard = RunGuard("smoke")
    guard.arrive(first)
    guard.begin(first, {})
    assert first.scheduler._executor.slurm_logdir == Path("logs/slurm/smoke")
    other = RunGuard("smoke")
    other.arrive(second)
    with pytest.raises(SystemExit):
        other.begin(second, {})
    assert second.scheduler._executor.slurm_logdir == Path("logs/slurm/headwater_1")


def test_failed_jobs_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    job = SimpleNamespace(
        rule=SimpleNamespace(name="row_gradients"),
        wildcards=["start", "0001"],
        is_local=False,
    )
    log = Path("logs/slurm/rule_row_gradients/start_0001/7.log")
    guard = RunGuard("smoke")
    log.parent.mkdir(parents=True)
    log.write_text(
        "*** JOB 7 ON n1 CANCELLED AT 2026-11-24T23:15:33 DUE TO TIME LIMIT",
        encoding="utf-8",
    )
    guard.explain(workflow("slurm", (job,)), [])
    told = capsys.readouterr().err
    assert "row_gradients start_0001: its time limit came" in told
    assert f"(log: {log})" in told


def test_an_interrupted_run_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    guard = RunGuard("smoke")
    guard._interrupt(signal.SIGINT)
    guard._ended.set()
    guard.explain(workflow("local"), [])
    told = "Interrupted (SIGINT); the same command goes on from there\n"
    assert capsys.readouterr().err == told


def test_jobs_are_shielded_from_the_terminal_where_the_run_ends_them() -> None:
    guard = RunGuard("smoke")
    assert guard.job_prefix(workflow("local")).endswith(JOB_PREFIX)
    assert JOB_PREFIX not in guard.job_prefix(workflow("slurm"))
    assert QUIET not in guard.job_prefix(workflow("local"))  # Snakemake's own console
    guard._console = Console(io.StringIO())
    assert f"export {QUIET}=1" in guard.job_prefix(workflow("slurm"))
