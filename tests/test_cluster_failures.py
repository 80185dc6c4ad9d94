"""Why SLURM ended a job: one line from its log."""

import os
from pathlib import Path

import pytest

from headwater.cluster.failures import refusals, slurm_failures

# Recorded from SLURM 22.05 (lines of the nested Snakemake left out).
TIME = """\
slurmstepd-n1: error: *** STEP 55.0 ON n1 CANCELLED AT 2026-11-24T23:15:33 DUE TO TIME \
LIMIT ***
slurmstepd-n1: error: *** JOB 55 ON n1 CANCELLED AT 2026-11-24T23:15:33 DUE TO TIME \
LIMIT ***
srun: error: n1: task 0: Terminated
"""
MEMORY = """\
slurmstepd-n1: error: StepId=56.0 exceeded memory limit (913702912 > 314572800), being \
killed
slurmstepd-n1: error: Exceeded job memory limit
slurmstepd-n1: error: *** STEP 56.0 ON n1 CANCELLED AT 2026-11-24T23:14:35 ***
"""
CGROUP = """\
slurmstepd: error: Detected 1 oom_kill event in StepId=9.0. Some of the step tasks \
have been OOM Killed.
srun: error: n1: task 0: Out Of Memory
"""
CHDIR = """\
slurmstepd-n1: error: couldn't chdir to `/tmp/gone': No such file or directory: going \
to /tmp instead
"""
CANCELLED = (
    "slurmstepd-n1: error: *** JOB 58 ON n1 CANCELLED AT 2026-11-24T23:14:40 ***\n"
)
NODE = "srun: error: Node failure on n4\n"
PLAIN = "srun: error: n1: task 0: Exited with exit code 1\n"
JOB = "row_gradients start_0001"


def write(folder: Path, number: int, text: str, seconds: float) -> Path:
    path = folder / f"{number}.log"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (seconds, seconds))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TIME, "set-resources.row_gradients.runtime"),
        (MEMORY, "set-resources.row_gradients.mem_mb"),
        (CGROUP, "set-resources.row_gradients.mem_mb"),
        (CHDIR, "file system that all nodes mount"),
        (CANCELLED, "cancelled (scancel)"),
        (NODE, "its node failed"),
    ],
)
def test_one_line_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs/slurm/rule_row_gradients/start_0001"
    write(folder, 55, text, 1000)
    (line,) = slurm_failures([(JOB, folder)], since=900)
    assert line.startswith(f"{JOB}: ")
    assert words in line
    assert "(log: logs/slurm/rule_row_gradients/start_0001/55.log)" in line
    assert "\n" not in line


def test_the_last_attempt_counts_and_no_earlier_run(tmp_path: Path) -> None:
    write(tmp_path, 1, MEMORY, 800)
    write(tmp_path, 2, MEMORY, 1000)
    write(tmp_path, 3, TIME, 1001)
    (line,) = slurm_failures([(JOB, tmp_path)], since=900)
    assert "time limit" in line
    assert "3.log" in line


def test_what_the_rules_own_log_tells_is_not_told_twice(tmp_path: Path) -> None:
    write(tmp_path, 1, PLAIN, 1000)
    assert slurm_failures([(JOB, tmp_path)], since=900) == []


def test_no_log_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = slurm_failures([(JOB, tmp_path / "none")], since=900)
    assert f"does not see {tmp_path}" in line


def test_what_sbatch_said(tmp_path: Path) -> None:
    log = tmp_path / "snakemake.log"
    refused = "SLURM sbatch failed. The error message was 'sbatch: error: Batch job "
    refused += "submission failed: Invalid qos specification'.\n    sbatch call:\n"
    log.write_text(refused + "more\n" + refused)
    assert refusals([str(log), str(tmp_path / "gone.log")]) == [
        "sbatch refused a job: sbatch: error: Batch job submission failed: Invalid qos "
        "specification"
    ]
