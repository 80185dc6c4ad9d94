"""Processes of the lab: found by pid file or program, ended one by one."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Poll until `true()`.

    Raises:
        TimeoutError: it did not come true in time; says `what` was awaited.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.2)


def process_of(pid_file: Path, program: str) -> int | None:
    """The live process that a pid file names, if it is one of that program."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if _program(pid).startswith(program) and not gone(pid) else None


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody collects has."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return True
    return "\nState:\tZ" in status


def end(pid: int, patience: float = 10) -> None:
    """Terminate a process; kill it if it will not go."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        with suppress(TimeoutError):
            wait_until(lambda: gone(pid), seconds, "end of a process")
            return


def kill_all(pids: list[int]) -> None:
    """Kill processes at once."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def step_daemons(slurm_conf: Path) -> Iterator[int]:
    """Processes of slurmd that mind the jobs of this lab."""
    wanted = f"SLURM_CONF={slurm_conf}".encode()
    for pid in _pids():
        if _program(pid).startswith("slurmstepd"):
            with suppress(OSError):
                if wanted in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                    yield pid


def title(pid: int) -> str:
    """A process's command line, such as `slurmstepd: [12.batch]`."""
    try:
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def started(pid: int) -> float:
    """When a process started, in seconds since 1970, to a hundredth."""
    ticks = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    up = float((PROC / "uptime").read_text().split()[0])
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


def with_children(pids: list[int]) -> list[int]:
    """These processes and all that descend from them."""
    parents = {pid: _parent(pid) for pid in _pids()}
    found = set(pids)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _program(pid: int) -> str:
    try:
        return Path(os.readlink(PROC / str(pid) / "exe")).name
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
