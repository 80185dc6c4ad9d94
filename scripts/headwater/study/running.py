"""Runs the members of a study, each by a Snakemake of its own, some side by side.

A member is an ordinary experiment, so an ordinary run makes it: it has a lock, logs and
a console of its own, goes on where it was stopped, and makes nothing twice. The study
only starts these runs, tells their progress, and ends them when it is told to end.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from headwater.problems import one_line

PROGRESS = re.compile(r"(\d\d:\d\d:\d\d) +([\d,]+/[\d,]+  .*)")  # `console` says so
STOPPED = "Headwater stopped:"
INTERRUPTED = "interrupted"


class Runs:
    """The runs of the members.

    Args:
        commands: of every member, by its name.
        logs: folder for what the runs say.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], logs: Path) -> None:
        self._commands, self._logs = commands, logs
        self._width = max(map(len, commands))
        self._running: set[subprocess.Popen[str]] = set()
        self.interrupted: signal.Signals | None = None

    def log(self, name: str) -> Path:
        """What a member's run says."""
        return self._logs / f"{name}.log"

    def run(self, at_once: int) -> dict[str, str]:
        """Run all of them, so many at once; a failed one does not end the others.

        Returns:
            Why members failed, in a line, by name.
        """
        with self._listening(), ThreadPoolExecutor(at_once) as pool:
            reasons = list(pool.map(self._run, self._commands))
        found = zip(self._commands, reasons, strict=True)
        return {name: reason for name, reason in found if reason}

    def _run(self, name: str) -> str:
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8", errors="backslashreplace") as file:
            if self.interrupted:
                return INTERRUPTED
            self._tell(name, "begins")
            process = subprocess.Popen(
                self._commands[name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._running.add(process)
            if self.interrupted:  # since it was asked
                process.terminate()
            with process:
                for line in process.stdout or ():
                    file.write(line)
                    file.flush()
                    if told := PROGRESS.match(line):
                        self._tell(name, told[2], told[1])
            self._running.discard(process)
        if self.interrupted:
            return INTERRUPTED
        if process.returncode == 0:
            self._tell(name, "done")
            return ""
        reason = reason_in(log.read_text("utf-8", "replace").splitlines())
        self._tell(name, f"FAILED: {reason}  (log: {log})")
        return reason

    def _tell(self, name: str, text: str, clock: str = "") -> None:
        when = clock or time.strftime("%H:%M:%S")
        line = f"{when} {name:<{self._width}}  {text}\n"
        sys.stderr.write(line)  # at once, so that lines of two members do not mix
        sys.stderr.flush()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Hand SIGTERM on to the runs; of ctrl-C at a terminal they know themselves."""
        before = {
            number: signal.getsignal(number)
            for number in (signal.SIGTERM, signal.SIGINT)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        for number in before:
            signal.signal(number, self._end)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: object) -> None:
        self.interrupted = signal.Signals(number)
        if number == signal.SIGTERM:
            for process in tuple(self._running):
                process.terminate()


def reason_in(lines: list[str]) -> str:
    """Why a run failed, by what it said: the first reason, or its last words."""
    if STOPPED in lines[:-1]:
        return one_line(lines[lines.index(STOPPED) + 1].strip())
    said = (line.strip() for line in reversed(lines) if line.strip())
    return one_line(next(said, "failed"))
