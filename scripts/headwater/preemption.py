"""A job that SLURM pre-empts goes back into the queue, under its own number.

Where pre-empted jobs have a GraceTime, SLURM first sends SIGTERM to their steps. A
script that dies of it makes its job FAILED: Snakemake then spends an attempt, and asks
for more memory and time. The inner Snakemake survives it, but counts its job as failed
even if that ends well. So the script has its job requeued at once: that costs nothing,
and what waits for the node gets it sooner. What it wrote so far is kept.

SIGTERM also comes with `scancel` and at the time limit; then the job is no longer
RUNNING, and the script dies as ever.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from headwater.logs import logger
from headwater.slurm import SlurmError, call

PATIENCE = 5.0  # seconds that the controller has for an answer


@contextlib.contextmanager
def requeued() -> Iterator[None]:
    """Have this SLURM job requeued if it is pre-empted; elsewhere change nothing."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        if is_preempted(job) and _scontrol("requeue", job) is not None:
            logger.info("SLURM pre-empts this job: it waits in the queue again")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_preempted(job: str) -> bool:
    """Whether the job of a number has been told to give way, and still runs."""
    words = (_scontrol("--oneliner", "show", "job", job) or "").split()
    found = dict(word.split("=", 1) for word in words if "=" in word)
    told = found.get("PreemptTime", "None") != "None"
    return told and found.get("JobState") == "RUNNING"


def _scontrol(*words: str) -> str | None:
    """What scontrol prints; None if it fails or does not answer."""
    with contextlib.suppress(SlurmError):
        done, printed = call(["scontrol", *words], PATIENCE)
        return printed if done else None
    return None
