"""Ctrl-C, SIGTERM and SIGHUP end a run on this machine with all its processes.

Only the main process listens. Its jobs ignore what a terminal sends to all
(`JOB_PREFIX`), so that ctrl-C does not end each of them with a traceback of its own;
they are told by SIGTERM, and killed if that does not help in time.

Snakemake alone waits for its jobs at SIGTERM, leaves them behind at SIGHUP, and relies
on the terminal to tell them of SIGINT. Its handler of SIGTERM also takes a lock that
the thread it interrupts may hold.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import psutil

JOB_PREFIX = "trap '' INT HUP; "
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 7.0  # seconds for a training to end its step and save
PAUSE = 0.2
SHELLS = ("bash", "sh")


def end_early(workflow: Any) -> None:
    """Until the first job, at ctrl-C leave with one line: there is nothing to end."""

    def leave(number: int, frame: object) -> None:
        scheduler = getattr(workflow, "scheduler", None)
        if scheduler is not None and scheduler.running:
            raise KeyboardInterrupt  # without hooks nobody else listens
        os.write(2, b"Interrupted (SIGINT) before the first job\n")
        os._exit(128 + number)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def leave_to_snakemake() -> None:
    """From now on, ctrl-C is Snakemake's to handle."""
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def listen(workflow: Any, tell: Callable[[signal.Signals], None]) -> threading.Event:
    """From now on, end the run at one of the signals; at a second, without patience.

    A signal that is ignored (nohup, a background job of a script) stays so.

    Args:
        workflow: Snakemake's, whose jobs run on this machine.
        tell: called at the first signal, before anything is ended.

    Returns:
        Set when nothing that ran at the signal is left; to be waited for by the main
        thread, which has to stay until then.
    """
    ended = threading.Event()
    received: SimpleQueue[int] = SimpleQueue()  # its `put` may interrupt itself
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: received.put(number))
    arguments = (received, workflow.scheduler, tell, ended)
    threading.Thread(target=_end_at, args=arguments, daemon=True).start()
    return ended


def _end_at(
    received: "SimpleQueue[int]",
    scheduler: Any,
    tell: Callable[[signal.Signals], None],
    ended: threading.Event,
) -> None:
    number = received.get()
    with suppress(OSError):  # a terminal that was closed
        tell(signal.Signals(number))
    # Not before: the main thread may see it at once, and end without a word.
    scheduler._user_kill = "graceful"  # starts no job any more
    scheduler._open_jobs.release()  # looks at it now
    _end_children(received, ended)


def _end_children(again: "SimpleQueue[int]", ended: threading.Event) -> None:
    """End all jobs of this process, and those that still start; never returns.

    At the next signal nothing is waited for. Only jobs are told by SIGTERM: a
    training's driver ends its ranks by itself.
    """
    patience = PATIENCE
    known: set[psutil.Process] = set()
    told: set[psutil.Process] = set()
    while True:
        known |= set(psutil.Process().children(recursive=True))
        if patience <= 0:
            _send(signal.SIGKILL, known)
        shells, jobs = _shells_and_jobs(psutil.Process())
        _send(signal.SIGSTOP, shells)  # or they would go on to their next command
        _send(signal.SIGTERM, jobs - told)
        _send(signal.SIGKILL, shells)
        told |= jobs
        if not any(map(_is_alive, known)):
            ended.set()
        patience -= PAUSE
        with suppress(Empty):
            again.get(timeout=PAUSE)
            patience = 0.0


def _is_alive(process: psutil.Process) -> bool:
    # psutil's own `wait` would take the exit code that Snakemake waits for.
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _send(number: signal.Signals, processes: set[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _shells_and_jobs(
    parent: psutil.Process,
) -> tuple[set[psutil.Process], set[psutil.Process]]:
    """The jobs below a process, and the shells that have not given way to them."""
    shells: set[psutil.Process] = set()
    jobs: set[psutil.Process] = set()
    with suppress(psutil.Error):
        for process in parent.children():
            if process.name() not in SHELLS:
                jobs.add(process)
                continue
            shells.add(process)
            inner = _shells_and_jobs(process)
            shells, jobs = shells | inner[0], jobs | inner[1]
    return shells, jobs
