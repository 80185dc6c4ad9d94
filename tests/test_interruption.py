"""How a run on this machine ends at a signal, without Snakemake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from headwater import interruption
from headwater.imports import ROOT
from headwater.interruption import JOB_PREFIX

# A main process with jobs; it lives until its scheduler is told, as Snakemake does.
MAIN = """
import subprocess, sys, threading
from types import SimpleNamespace
from headwater import interruption

interruption.PATIENCE = float(sys.argv[1])
opened = threading.Semaphore(0)
scheduler = SimpleNamespace(_open_jobs=opened, _user_kill=None)
workflow = SimpleNamespace(scheduler=scheduler)
jobs = [subprocess.Popen(["bash", "-c", command]) for command in sys.argv[2:]]

def tell(number):
    print("ends at", number.name, flush=True)
    raise OSError("the terminal is gone")

ended = interruption.listen(workflow, tell)
print("runs", flush=True)
opened.acquire()
assert scheduler._user_kill == "graceful"
for job in jobs:
    job.wait()
ended.wait()
print("ended", flush=True)
"""
SLEEP = f"{JOB_PREFIX}sleep 60"
STUBBORN = "trap '' INT HUP TERM; sleep 60; sleep 60"
SHELL = f"{JOB_PREFIX}sleep 60; sleep 60"  # does not give way to what it runs


class Main(subprocess.Popen):
    """The main process, in a group of its own."""

    def __init__(self, *commands: str, patience: float = 30, before: str = "") -> None:
        words = [sys.executable, "-c", MAIN, str(patience), *commands]
        super().__init__(
            ["bash", "-c", f'{before} exec "$@"', "bash", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.stdout.readline() == "runs\n"
        time.sleep(0.3)  # until the shells have set their traps
        self.below = psutil.Process(self.pid).children(recursive=True)
        assert len(self.below) >= len(commands)

    def strike(self, number: signal.Signals, whom: str) -> str:
        """Send a signal; what is said until the end."""
        (os.killpg if whom == "group" else os.kill)(self.pid, number)
        return self.communicate(timeout=20)[0]

    def none_left(self) -> bool:
        return not psutil.wait_procs(self.below, timeout=3)[1]


@pytest.mark.parametrize("whom", ["group", "main"])
@pytest.mark.parametrize("number", interruption.SIGNALS, ids=lambda one: one.name)
def test_a_signal_ends_all_jobs_with_one_line(number, whom):
    main = Main(SLEEP, SHELL)
    assert main.strike(number, whom) == f"ends at {number.name}\nended\n"
    assert main.none_left()


def test_a_job_that_does_not_end_is_killed():
    main = Main(STUBBORN, patience=0.5)
    assert main.strike(signal.SIGINT, "group") == "ends at SIGINT\nended\n"
    assert main.none_left()


def test_at_the_second_signal_nothing_is_waited_for():
    main = Main(STUBBORN)
    os.kill(main.pid, signal.SIGINT)
    assert main.stdout.readline() == "ends at SIGINT\n"
    began = time.monotonic()
    assert main.strike(signal.SIGTERM, "main") == "ended\n"
    assert time.monotonic() - began < 15
    assert main.none_left()


def test_a_signal_that_is_ignored_stays_so():
    main = Main(SLEEP, before="trap '' HUP;")
    os.killpg(main.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert main.poll() is None
    assert all(process.is_running() for process in main.below)
    assert main.strike(signal.SIGTERM, "main") == "ends at SIGTERM\nended\n"


def test_a_job_hears_of_nothing_that_a_terminal_sends(tmp_path: Path):
    told = tmp_path / "told"
    script = f"import time; time.sleep(2); open({str(told)!r}, 'w').close()"
    job = subprocess.Popen(
        ["bash", "-c", f'{JOB_PREFIX}"$0" -c "$1"', sys.executable, script],
        start_new_session=True,
    )
    time.sleep(1)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.killpg(job.pid, number)
    assert job.wait(20) == 0
    assert told.exists()


EARLY = """
import signal, sys
from types import SimpleNamespace
from headwater import interruption
interruption.end_early(SimpleNamespace())
print("reads", flush=True)
signal.pause()
"""


def test_before_the_first_job_ctrl_c_is_one_line():
    main = subprocess.Popen(
        [sys.executable, "-c", EARLY],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert main.stdout.readline() == "reads\n"
    main.send_signal(signal.SIGINT)
    assert (
        main.communicate(timeout=20)[0] == "Interrupted (SIGINT) before the first job\n"
    )
    assert main.returncode == 130
