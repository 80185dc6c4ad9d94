"""Jobs that a killed run left behind: found, cancelled, and waited for.

Snakemake's main process can be killed without warning (SIGKILL, out of memory, a login
node that goes down). Its jobs then go on, and a new run would submit the same work a
second time. So each run writes down its SLURM run id, which is the name of all its
jobs, before it submits the first of them:

    results/.<experiment>.slurm.json    {"runs": ["headwater_<uuid>"]}

The next run of the experiment in this folder, which holds the run's lock and so knows
that the writer is dead, ends what is left under that name. Training runs have other
names: they are not cancelled but found again.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.publish import write_json
from headwater.slurm import PATIENCE, call, lines

RUN_VARIABLE = "HEADWATER_RUN"  # in the environment of all that a run starts
LONGEST_WAIT = 600  # seconds; SLURM ends a cancelled job within KillWait, mostly 30
AT_ONCE = 500  # jobs in one `scancel`
SUBMITTING = "sbatch"

Sleep = Callable[[float], None]


def record_path(experiment: str) -> Path:
    """Where the experiment's last run is written down."""
    return Path("results") / f".{experiment}.slurm.json"


def end_earlier_run(record: Path, sleep: Sleep = time.sleep) -> None:
    """Cancel what a dead run left, and return when nothing of it can write any more.

    The caller holds the experiment's lock.

    Args:
        record: from `record_path`.
        sleep: for tests.

    Raises:
        HeadwaterError: SLURM does not answer, or jobs do not end.
    """
    if not record.is_file():
        return
    runs = json.loads(record.read_text(encoding="utf-8"))["runs"]
    _end_processes(runs, sleep)
    jobs = _jobs_of(runs)
    if not jobs:
        return
    _say(f"{len(jobs)} jobs of an earlier run ({', '.join(runs)}) are still there.")
    _say("Cancelling them, and waiting until they are gone ...")
    ids = list(jobs)
    for start in range(0, len(ids), AT_ONCE):
        call(["scancel", *ids[start : start + AT_ONCE]])
    _wait_until_gone(runs, len(ids), sleep)
    _say("They are gone; the run begins.")


def remember_run(record: Path, run: str) -> None:
    """Write the run's id down, before its first job is submitted."""
    os.environ[RUN_VARIABLE] = run
    write_json(record, {"runs": [run]})


def forget_run(record: Path) -> None:
    """The run ended well: nothing of it is left."""
    record.unlink(missing_ok=True)


def _wait_until_gone(runs: list[str], last: int, sleep: Sleep) -> None:
    waited, pause = 0.0, 1.0
    while jobs := _jobs_of(runs):
        if waited >= LONGEST_WAIT:
            listed = ", ".join(f"{job} ({state})" for job, state in jobs.items())
            raise HeadwaterError(
                f"jobs of an earlier run do not end: {listed}; their nodes may be "
                "down. Run the same command again when `squeue --me` no longer lists "
                "them, or ask the cluster's support"
            )
        if len(jobs) != last:
            _say(f"{len(jobs)} left ...")
        last = len(jobs)
        sleep(pause)
        waited, pause = waited + pause, min(pause * 1.5, 10)


def _jobs_of(runs: list[str]) -> dict[str, str]:
    """The user's unfinished jobs with these names: id to state."""
    found = lines("squeue", "--me", "-h", "-n", ",".join(runs), "-o", "%i|%T")
    return dict(line.split("|", 1) for line in found)


def _end_processes(runs: list[str], sleep: Sleep) -> None:
    """Kill a killed run's local jobs on this machine; let its last `sbatch` end.

    Nothing is lost: outputs are whole or absent (`headwater.publish`). An `sbatch` may
    have been heard already, and its job is only found after it.
    """
    for process in sorted(_processes_of(runs)):
        if _name_of(process) != SUBMITTING:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    for _ in range(int(PATIENCE)):
        if not any(_name_of(process) == SUBMITTING for process in _processes_of(runs)):
            return
        sleep(1)


def _name_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _processes_of(runs: list[str]) -> Iterator[int]:
    # SLURM hands the environment on to its jobs, which are not on this machine, or, on
    # a cluster of one machine, are cancelled by SLURM: those have a SLURM_JOB_ID.
    wanted = {f"{RUN_VARIABLE}={run}".encode() for run in runs}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # another user's, or gone
        in_job = any(entry.startswith(b"SLURM_JOB_ID=") for entry in variables)
        if wanted & set(variables) and not in_job and int(folder.name) != os.getpid():
            yield int(folder.name)


def _say(text: str) -> None:
    print(f"Headwater: {text}", file=sys.stderr, flush=True)
