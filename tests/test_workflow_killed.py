"""The smoke experiment, struck by signals in every stage, and run again."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clone import command, contents, make_clone, run, run_and_kill
from headwater.plan.dag import rules

pytestmark = pytest.mark.workflow

SECONDS = 10.0  # to the end of every process, from ctrl-C
ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def below(clone: Path) -> list[psutil.Process]:
    """The processes that work in a clone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(clone) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


class Strike:
    """A run of a clone, and what is done to it."""

    def __init__(self, clone: Path, *words: str) -> None:
        self.clone, self.said = clone.resolve(), clone / "said.txt"
        with self.said.open("w") as output:
            self.main = subprocess.Popen(
                command(*words),
                cwd=clone,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def script(self) -> tuple[str, int] | None:
        """Rule and process of a job that runs; None when the run has ended."""
        while self.main.poll() is None:
            for process in self._children():
                try:
                    *_, rule, suffix = process.cmdline()[-1].split(".")
                except (psutil.Error, ValueError, IndexError):
                    continue
                if suffix == "py" and rule in rules():
                    return rule, process.pid
            time.sleep(0.02)
        return None

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.main.pid).children()
        except psutil.Error:
            return []

    def at(self, rule: str) -> int:
        """The process of a rule's job, once it runs."""
        while found := self.script():
            if found[0] == rule:
                return found[1]
            time.sleep(0.02)
        raise AssertionError(self.said.read_text())

    def strike(self, number: signal.Signals, whom: str, job: int) -> bool:
        """Send a signal to the job, its parent or their group; whether it was there."""
        if whom == "group":
            os.killpg(self.main.pid, number)
        elif whom == "parent":
            os.kill(self.main.pid, number)
        else:
            try:
                os.kill(job, number)
            except ProcessLookupError:
                return False  # it has just ended well
        return True

    def ends(self) -> None:
        """Every process ends in time, with one line and an exit code that is not 0.

        Or it had finished when the signal came.
        """
        limit = time.monotonic() + SECONDS
        while below(self.clone):
            assert time.monotonic() < limit, [
                one.cmdline() for one in below(self.clone)
            ]
            self.main.poll()
            time.sleep(0.05)
        code, said = self.main.wait(), self.said.read_text()
        assert "Traceback" not in said, said
        if code == 0:
            assert "report/index.html" in said, said
            return
        assert "Interrupted" in said, said
        after = said[said.index("Interrupted") :].splitlines()
        assert len(after) == 1, said
        assert after[0].endswith("the same command goes on from there")


def same(clone: Path, finished: Path, *words: str) -> None:
    """A last run ends well, with the bytes of one that nothing befell."""
    result = run(clone, *words)
    assert result.returncode == 0, result.stdout[-4000:]
    ours, theirs = contents(clone), contents(finished)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("retrain_arm", ()),
        # Two ranks add in another order: this run only has to end.
        ("retrain_arm", ("--set-resources", "retrain_arm:tasks=2")),
    ],
)
def test_a_signal_ends_a_training_with_one_line(
    smoke_run: Path, tmp_path: Path, rule: str, words: tuple[str, ...]
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(smoke_run, clone)
    shutil.rmtree(clone / "results/smoke/retraining/remove_top-seed0")
    kinds = [(signal.SIGINT, "group"), (signal.SIGTERM, "group")]
    if not words:
        kinds += [(signal.SIGINT, "parent"), (signal.SIGHUP, "parent")]
    for number, whom in kinds:
        struck = Strike(clone, "retraining", *words)
        job = struck.at(rule)
        time.sleep(random.uniform(0, 4) if words else random.uniform(0, 2))
        struck.strike(number, whom, job)
        struck.ends()
    if not words:
        same(clone, smoke_run, "retraining")


def kinds_of_strikes() -> Iterator[tuple[signal.Signals, str]]:
    """All of them again and again, in an order that meets the rules anew each time."""
    numbers = (signal.SIGKILL, *ASKED)
    kinds = list(itertools.product(numbers, ("job", "parent", "group")))
    while True:
        random.shuffle(kinds)
        yield from kinds


# These may have ended before they are struck.
QUICK = {
    *("hold_out", "order_rows", "select_window", "select_target", "solve_ihvp"),
    *("rank_rows", "build_arm", "compare_rows", "measure_effects", "write_report"),
    *("plot_enrichment", "plot_emergence", "judge_arms", "write_summary"),
}


def orphans_end(clone: Path) -> None:
    """What a killed main process leaves publishes its result, and ends."""
    limit = time.monotonic() + 120
    while below(clone):
        assert time.monotonic() < limit
        time.sleep(0.2)


@pytest.mark.long
def test_signals_of_every_kind_in_every_stage(smoke_run: Path, tmp_path: Path) -> None:
    clone, kinds = make_clone(tmp_path).resolve(), kinds_of_strikes()
    benchmarks = (smoke_run / "results/smoke/benchmarks").rglob("*.tsv")
    waiting = {path.stem.split("-")[0] for path in benchmarks}
    assert waiting > QUICK
    struck = Strike(clone)
    for _ in range(3 * len(waiting)):
        while (found := struck.script()) and found[0] not in waiting:
            time.sleep(0.02)
        if found is None and struck.main.returncode == 0:
            break
        if found is None:  # after a strike at a job, which has failed
            struck = Strike(clone)
            continue
        rule, job = found
        waiting.remove(rule)
        number, whom = next(kinds)
        print(rule, number.name, whom, flush=True)  # shown by pytest if the test fails
        time.sleep(random.uniform(0, 3))
        running = struck.main.poll() is None and struck.strike(number, whom, job)
        if not running or whom == "job":
            continue
        if number in ASKED:
            struck.ends()
        else:
            struck.main.wait()
            orphans_end(clone)
        if struck.main.returncode:
            struck = Strike(clone)
    assert waiting <= QUICK
    same(clone, smoke_run)


@pytest.mark.long
def test_killed_run_ends_with_the_same_bytes(smoke_run: Path, tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    moments = random.Random(os.urandom(8))
    seconds = [moments.uniform(8, 30) for _ in range(2)]
    print("killed after", seconds)  # shown by pytest if the test fails
    killed = [run_and_kill(clone, each) for each in seconds]
    assert any(killed)
    same(clone, smoke_run)
