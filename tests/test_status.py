"""How far an experiment is, from files that an earlier, present or broken run left."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from clone import REPOSITORY
from headwater.config import load_config
from headwater.logs import ERROR, TRACEBACK
from headwater.plan.dag import count_jobs
from headwater.plan.estimate import Folders
from headwater.plan.experiment import Experiment, sources_of
from headwater.status import queue
from headwater.status.jobs import FAILED, QUIET, RUNNING, done_jobs, unfinished
from headwater.status.page import render, stages
from headwater.status.study import member_lines

NOW = 1_000_000.0
LINE = "21:28:19 gradients start {}: 4,000/9,200 rows · 400.0 rows/s · ETA 0:13"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "results/mine", tmp_path / "logs/mine")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    raw = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    config = load_config(raw, "c.yaml", REPOSITORY)
    return Experiment(config, sources_of(config, REPOSITORY))


def a_log(folders: Folders, name: str, text: str, age: float = 5) -> Path:
    path = folders.logs / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    os.utime(path, (NOW - age, NOW - age))
    return path


def a_benchmark(folders: Folders, name: str, age: float, seconds: float = 2.0) -> None:
    path = folders.results / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:02\n")
    os.utime(path, (NOW - age, NOW - age))


def test_jobs_run_fail_fall_silent_and_end(folders: Folders) -> None:
    a_log(folders, "gradients/row_gradients-start-0000", LINE.format("0000"))
    a_log(folders, "gradients/row_gradients-start-0001", LINE.format("0001"), 900)
    a_log(folders, "corpus/order_rows-0000", f"10:00:00 {ERROR}no rows", 50)
    trace = f"{TRACEBACK}\n  File x\nKeyError: 'a'"
    a_log(folders, "heads/score_heads", trace, 60)
    a_log(folders, "heads/select_window", "done", 40)
    a_benchmark(folders, "heads/select_window", 39)
    a_log(folders, "corpus/fetch_rows", "fetched", 3000)
    found = {job.name: job for job in unfinished(folders, NOW)}
    states = {name: job.state for name, job in found.items()}
    assert states == {
        "row_gradients-start-0000": RUNNING,
        "row_gradients-start-0001": QUIET,
        "order_rows-0000": FAILED,
        "score_heads": FAILED,
    }
    assert found["order_rows-0000"].text == "no rows"
    assert found["score_heads"].text == "a bug in Headwater: KeyError: 'a'"
    assert found["row_gradients-start-0000"].rule == "row_gradients"


def test_a_job_that_runs_again_is_running_though_it_ended_once(folders) -> None:
    a_benchmark(folders, "heads/score_heads", 500)
    a_log(folders, "heads/score_heads", "started", 4)
    assert [job.state for job in unfinished(folders, NOW)] == [RUNNING]


def test_stages_tell_jobs_work_rate_and_time_left(folders, experiment) -> None:
    counts = count_jobs(experiment)
    for name in ("start/0000.zarr", "start/0001.zarr.part"):
        (folders.results / "gradients" / name).mkdir(parents=True)
    (folders.results / "gradients/start/.0001.zarr.lock").touch()
    (folders.results / "gradients/start/induction.h5").touch()
    a_log(folders, "gradients/row_gradients-start-0001", LINE.format("0001"))
    a_benchmark(folders, "gradients/row_gradients-start-0000", 100, seconds=60.0)
    a_benchmark(folders, "gradients/probe_gradient-start-induction", 100, seconds=5.0)
    done = done_jobs(experiment, folders.results)
    jobs = unfinished(folders, NOW)
    rows = {row.name: row for row in stages(counts, done, jobs, folders)}
    gradients = rows["gradients"]
    assert (gradients.done, gradients.jobs, gradients.running) == (2, 4, 1)
    assert gradients.work == "4,000 rows"
    assert gradients.rate == "400 rows/s"
    assert gradients.left == pytest.approx(65, rel=0.1)
    assert rows["retraining"].left is None
    text = render(list(rows.values()), jobs, ["SLURM: 1 RUNNING"])
    assert "gradients      2/4        1" in text
    assert LINE.format("0001") in text
    assert text.endswith("SLURM: 1 RUNNING")


def test_what_stands_beside_a_result_is_none(folders, experiment) -> None:
    retraining, text = folders.results / "retraining", "corpus/source/text"
    for name in ("random-seed0", "top-seed0.part", "top-seed0.job"):
        (retraining / name).mkdir(parents=True)
    for name in ("top-seed0.part.json", ".top-seed0.lock"):
        (retraining / name).touch()
    (folders.results / text).mkdir(parents=True)
    for name in ("00.jsonl.zst", "01.jsonl.zst.part", "01.jsonl.zst.part.json"):
        (folders.results / text / name).touch()
    sources = replace(experiment.sources, fetched=4)
    done = done_jobs(replace(experiment, sources=sources), folders.results)
    assert (done["retrain_arm"], done["fetch_text"]) == (1, 1)


def test_a_training_on_slurm_is_one_job_with_two_logs(folders, experiment) -> None:
    name = "checkpoints/train_baseline"
    line = "10:00:00 baseline: 1,000/1,600 steps · 20.0 steps/s · ETA 0:30"
    a_log(folders, name, "10:00:00 baseline: SLURM job 7 RUNNING", 800)
    a_log(folders, f"{name}.training", line)
    (job,) = unfinished(folders, NOW)
    assert (job.name, job.state, job.age) == ("train_baseline", RUNNING, 5)
    assert job.text == line
    counts = count_jobs(experiment)
    done = done_jobs(experiment, folders.results)
    rows = {stage.name: stage for stage in stages(counts, done, [job], folders)}
    assert rows["checkpoints"].work == "1,000 steps"
    assert rows["checkpoints"].left == 30
    a_log(folders, name, "10:10:00 baseline: SLURM job 8 PENDING", 4)
    (again,) = unfinished(folders, NOW)
    assert (again.text, again.line) == ("10:10:00 baseline: SLURM job 8 PENDING", None)
    a_benchmark(folders, name, 3)
    assert unfinished(folders, NOW) == []


def test_nothing_is_done_where_nothing_is(experiment) -> None:
    assert set(done_jobs(experiment, Path("nowhere")).values()) == {0}


def test_only_the_jobs_of_this_folder_count(tmp_path) -> None:
    answer = [
        f"RUNNING|None|headwater_1-2|{tmp_path}",
        f"PENDING|Priority|headwater_1-2|{tmp_path}",
        f"PENDING|Priority|headwater-mine-baseline|{tmp_path}",
        "RUNNING|None|headwater_9|/elsewhere",
        f"RUNNING|None|other|{tmp_path}",
        "broken",
    ]
    assert queue.summary(answer, tmp_path) == [
        "SLURM: 2 PENDING (Priority)",
        "SLURM: 1 RUNNING",
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo controller down >&2; exit 1", "squeue failed (controller down)"),
        ("sleep 60", "squeue failed (no answer in"),
    ],
)
def test_a_broken_slurm_is_one_line(tmp_path, monkeypatch, script, expected) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\n{script}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(queue, "PATIENCE", 0.5)
    (line,) = queue.queue_lines(tmp_path)
    assert expected in line


def test_the_command_works_before_anything_ran_and_asks_slurm_for_runs_on_it(
    tmp_path,
) -> None:
    for name in ("scripts", "workflow", "resources", "config"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    command = [sys.executable, "scripts/status.py", "--configfile"]
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    squeue.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    where = {"cwd": tmp_path, "capture_output": True, "text": True, "env": path}
    result = subprocess.run([*command, "config/smoke.yaml"], check=False, **where)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("smoke: 0 jobs done")
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "asked").exists()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/.smoke.slurm.json").write_text('{"runs": []}')
    result = subprocess.run([*command, "config/smoke.yaml"], check=False, **where)
    assert (tmp_path / "asked").exists()
    text = shlex.join([*command, "config/smoke.yaml"])
    result = subprocess.run(f"{text} | true", shell=True, check=False, **where)
    assert result.stderr == ""
    result = subprocess.run([*command, "config/none.yaml"], check=False, **where)
    assert result.returncode == 1
    assert result.stderr == (
        "error: config/none.yaml: no such config file; "
        "did you mean config/smoke.yaml?\n"
    )


def test_every_member_of_a_study_has_a_line(tmp_path: Path, monkeypatch) -> None:
    raw = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    raw["study"] = {"seeds": [0, 3]}
    config = load_config(raw, "c.yaml", REPOSITORY)
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    monkeypatch.chdir(tmp_path)
    now = time.time()
    other = Folders.of("smoke-seed3")
    a_result = other.results / "evaluation/effects.tsv"
    a_result.parent.mkdir(parents=True)
    a_result.touch()
    log = a_log(other, "corpus/order_rows-0000", f"10:00:00 {ERROR}no rows")
    os.utime(log, (now - 5, now - 5))
    _, head, *lines = member_lines(config, now)
    assert head.split() == ["member", "results", "done"]
    (first, second) = (line.split() for line in lines)
    assert first[:3] == ["seed0", "results/smoke", first[2]]
    assert first[2].startswith("0/")
    assert second[:2] == ["seed3", "results/smoke-seed3"]
    assert second[2].startswith("1/")
    assert second[3:] == ["jobs", "1", "failed"]
    assert not list(member_lines({**config, "study": {}}, now))
