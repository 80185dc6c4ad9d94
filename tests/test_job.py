"""What surrounds the work: job logs, the run's lock and last words, progress lines."""

import logging
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

import headwater.progress
from headwater import job
from headwater.errors import HeadwaterError
from headwater.imports import ROOT
from headwater.logs import BUG, ERROR, QUIET, TRACEBACK, errors_in, warnings_in
from headwater.progress import GPU_NOTE, Progress, last_lines
from headwater.runs import RunGuard


@pytest.fixture(autouse=True)
def _same_surroundings(monkeypatch):
    """Leave logging, threads and the environment as they were."""
    logger, threads = job.logger, torch.get_num_threads()
    before = logger.handlers[:], logger.level, logger.propagate
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    yield
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
    torch.set_num_threads(threads)


def a_job(log, **config: object) -> SimpleNamespace:
    config["experiment"] = "x"
    return SimpleNamespace(
        log=[str(log)], threads=1, config=config, input=[], output=[]
    )


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# Jobs


def test_a_job_gets_the_config_and_a_fresh_log(tmp_path, capsys):
    log = tmp_path / "new" / "job.log"
    for word in ("first", "second"):
        with job.start(a_job(log, seed=3)) as config:
            assert config["seed"] == 3
            job.logger.info("the %s time", word)
    assert log.read_text().endswith(" the second time\n")
    assert "first" not in log.read_text()
    assert capsys.readouterr().err.count("the second time") == 1


def test_a_headwater_error_is_one_line_and_exit_code_one(tmp_path, capsys):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as caught, job.start(a_job(log)):
        raise HeadwaterError("a.zst: line 3: 100% broken; mend it")
    assert caught.value.code == 1
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(f" {ERROR}a.zst: line 3: 100% broken; mend it")
    assert capsys.readouterr().err == log.read_text()


def test_any_other_error_keeps_its_traceback(tmp_path):
    log = tmp_path / "job.log"
    with pytest.raises(ZeroDivisionError), job.start(a_job(log)):
        raise ZeroDivisionError("a bug")
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "test_job.py" in text
    assert "ZeroDivisionError: a bug" in text
    assert ERROR not in text


FAILING = """
import sys
from types import SimpleNamespace
from headwater import job
from headwater.errors import HeadwaterError
config = {"experiment": "x"}
one = SimpleNamespace(log=[sys.argv[1]], threads=1, config=config, input=[], output=[])
with job.start(one):
    raise HeadwaterError("no corpus")
"""


def test_a_job_is_silent_where_its_run_speaks(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(QUIET, "1")
    log = tmp_path / "a.log"

    def work() -> None:
        job.logger.info("begun")
        job.logger.warning("3 lines skipped")
        raise ZeroDivisionError("a bug")

    with pytest.raises(SystemExit) as caught, job.start(a_job(log)):
        work()
    assert caught.value.code == 1
    assert capsys.readouterr().err == ""
    lines = log.read_text().splitlines()
    assert warnings_in(lines) == ["3 lines skipped"]
    assert errors_in(lines) == [f"{BUG}ZeroDivisionError: a bug"]


def test_an_interrupted_job_leaves_no_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, job.start(a_job(tmp_path / "a.log")):
        raise KeyboardInterrupt
    assert caught.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_failing_job_exits_with_one_and_without_a_traceback(tmp_path):
    process = python(FAILING, tmp_path / "job.log")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert errors.endswith(f" {ERROR}no corpus\n")


def test_a_job_fixes_the_threads(tmp_path):
    torch.set_num_threads(1)
    ours = a_job(tmp_path / "job.log")
    ours.threads = 2
    with job.start(ours):
        assert torch.get_num_threads() == 2
        assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


# The run


HOLDING = """
import sys
from types import SimpleNamespace
from headwater.runs import RunGuard
guard = RunGuard("test")
local = SimpleNamespace(executor_plugin=SimpleNamespace(name="local"))
guard.begin(local, {})
print("begun", flush=True)
sys.stdin.read()
"""


LOCAL = SimpleNamespace(executor_plugin=SimpleNamespace(name="local"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_second_run_is_refused_while_the_first_lives(folder, capsys):
    guard = RunGuard("test")
    first = python(HOLDING, cwd=folder)
    assert first.stdout.readline() == "begun\n"
    with pytest.raises(SystemExit) as caught:
        guard.begin(LOCAL, {})
    assert caught.value.code == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert f"pid {first.pid} " in errors
    assert "results/test" in errors
    another = RunGuard("other")
    another.begin(LOCAL, {})
    another.finish()
    first.kill()
    first.communicate()
    guard.begin(LOCAL, {})
    guard.finish()
    assert not list((folder / "results").iterdir())


def test_a_run_may_begin_again_after_either_end(folder):
    for end in (RunGuard.finish, lambda guard: guard.explain(LOCAL, [])):
        guard = RunGuard("test")
        guard.begin(LOCAL, {})
        end(guard)


def write(path, text: str, age: float = 0.0) -> None:
    """A file as old as `age` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, 2 * (time.time() - age,))


def test_the_summary_is_printed_if_this_run_made_it(folder, capsys):
    summary = folder / "results" / "test" / "report" / "summary.md"
    write(summary, "what was found\n", age=60)
    guard = RunGuard("test")
    guard.finish()
    assert capsys.readouterr().err == ""
    write(summary, "what was found\n", age=-1)
    guard.finish()
    assert capsys.readouterr().err.strip() == "what was found"


def test_a_run_without_a_summary_ends_silently(folder, capsys):
    RunGuard("test").finish()
    assert capsys.readouterr().err == ""


def test_the_reasons_of_this_run_are_told_and_no_others(folder, capsys):
    logs = folder / "logs" / "test"
    old = f"12:00:00 {ERROR}an older failure\n"
    write(logs / "corpus" / "old.log", old, age=60)
    write(folder / "logs" / "other" / "new.log", old, age=-1)
    guard = RunGuard("test")
    write(
        logs / "corpus" / "new.log",
        f"12:00:01 working\n12:00:02 {ERROR}a.zst: line 3: {ERROR}x\n",
        age=-1,
    )
    write(logs / "fine.log", "12:00:01 working\n12:00:02 done\n", age=-1)
    (logs / "bytes.log").write_bytes(b"\xff\xfe")
    guard.explain(LOCAL, [])
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines if "(log: " in line] == [
        f"a.zst: line 3: {ERROR}x  (log: logs/test/corpus/new.log)"
    ]
    assert "Headwater stopped:" in lines
    assert lines[-1] == "Logs of all jobs: logs/test/"


def test_a_bug_is_told_by_its_last_line(folder, capsys):
    guard, log = RunGuard("test"), folder / "logs" / "test" / "job.log"
    with pytest.raises(ZeroDivisionError), job.start(a_job(log)):
        raise ZeroDivisionError("on purpose")
    os.utime(log, 2 * (time.time() + 1,))
    capsys.readouterr()
    guard.explain(LOCAL, [])
    wanted = (
        "a bug in Headwater: ZeroDivisionError: on purpose  (log: logs/test/job.log)"
    )
    assert wanted in capsys.readouterr().err


def test_a_run_without_known_reasons_still_names_the_logs(folder, capsys):
    RunGuard("test").explain(LOCAL, [])
    assert capsys.readouterr().err == "Logs of all jobs: logs/test/\n"


# Progress


@pytest.fixture
def clock(monkeypatch):
    """Set `clock.now`, in seconds."""
    fake = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(headwater.progress.time, "monotonic", lambda: fake.now)
    return fake


@pytest.fixture
def lines(monkeypatch):
    """The lines logged so far."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    monkeypatch.setattr(headwater.progress.logger, "handlers", [handler])
    monkeypatch.setattr(headwater.progress.logger, "propagate", False)
    headwater.progress.logger.setLevel(logging.INFO)
    return found


def test_a_line_tells_done_total_rate_and_time_left(clock):
    progress = Progress("training", 12000, "steps")
    progress.update(3000)
    text = progress.line(clock.now + 60, "loss 2.5")
    assert text == "training: 3,000/12,000 steps · 50.0 steps/s · ETA 3:00 · loss 2.5"


def test_long_times_have_hours(clock):
    progress = Progress("training", 100, "steps")
    progress.update(1)
    assert progress.line(clock.now + 100).endswith("ETA 2:45:00")


def test_a_resumed_job_does_not_count_what_was_done_before(clock):
    progress = Progress("training", 1000, "steps", done=900)
    assert progress.line(clock.now + 10) == "training: 900/1,000 steps · 0.0 steps/s"
    progress.update(50)
    text = progress.line(clock.now + 10)
    assert text == "training: 950/1,000 steps · 5.0 steps/s · ETA 0:10"


def test_without_a_total_there_is_no_time_left(clock):
    progress = Progress("reading", None, "rows")
    progress.update(7)
    assert progress.line(clock.now + 2) == "reading: 7 rows · 3.5 rows/s"


def test_the_first_moment_is_no_division_by_zero(clock):
    assert "0/5 rows" in Progress("x", 5, "rows").line(clock.now)


def test_lines_come_now_and_then_and_at_the_end(clock, lines):
    progress = Progress("x", 5, "rows", every=10)
    for seconds in (9.9, 0.2, 9.9, 0.2):
        clock.now += seconds
        progress.update()
    assert [line.split(" · ")[0] for line in lines] == ["x: 2/5 rows", "x: 4/5 rows"]
    progress.update()
    assert lines[-1].startswith("x: 5/5 rows")
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("label", "total", "count", "rate"),
    [
        ("training", 12000, 3000, 50.0),
        ("gradients start 0001", None, 1_234_567, 20576.1),
        ("remove_top seed 0: again", 9, 1, 0.0),
    ],
)
def test_a_line_is_read_as_it_was_written(clock, tmp_path, label, total, count, rate):
    progress, log = Progress(label, total, "token rows"), tmp_path / "a.log"
    progress.done = count
    job.configure_logging(log)
    for seconds in (30, 60):
        job.logger.info("%s", progress.line(clock.now + seconds, "loss 2.5"))
    job.logger.info("the end: nothing counted")
    (line,) = last_lines(log).values()
    assert (line.label, line.done, line.total) == (label, count, total)
    assert (line.unit, line.rate) == ("token rows", pytest.approx(rate, abs=0.05))
    assert line.text.endswith("loss 2.5")


def test_lines_of_a_job_on_a_gpu_tell_its_memory(clock, monkeypatch):
    cuda = SimpleNamespace(
        is_initialized=lambda: True, max_memory_allocated=lambda: 3.14e9
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    line = Progress("training", 2000, "steps").line(clock.now, "loss 2.1")
    assert line.endswith(f" · loss 2.1 · {GPU_NOTE} 3.1 GB")
    cuda.is_initialized = lambda: False
    assert GPU_NOTE not in Progress("training", 2000, "steps").line(clock.now)


# Failures


def test_failures_are_read_as_they_were_written(tmp_path):
    log = tmp_path / "a.log"
    for error, words in (
        (HeadwaterError("no rows"), "no rows"),
        (KeyError("a"), f"{BUG}KeyError: 'a'"),
    ):
        with pytest.raises((SystemExit, KeyError)), job.start(a_job(log)):
            raise error
        assert errors_in(log.read_text().splitlines()) == [words]
    assert errors_in(["10:00:00 fine", ""]) == []
    assert errors_in([f"10:00:00 {ERROR}a", f"10:00:01 {TRACEBACK}", "b"]) == ["a"]
