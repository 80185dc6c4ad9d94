"""What SLURM says of jobs and nodes, and waiting for it to say something else."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

LIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED"}
SEPARATOR = "\x1f"
FIELDS = ("%A", "%j", "%T", "%N", "%k", "%P", "%u")


@dataclass(frozen=True)
class TrainingJob:
    """One job as squeue shows it."""

    number: str
    name: str
    state: str
    node: str
    comment: str
    partition: str
    user: str

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in LIVE

    def does(self, rule: str) -> bool:
        """Whether it is one of Snakemake's jobs of this rule."""
        return self.comment == f"rule_{rule}" or self.comment.startswith(
            f"rule_{rule}_wildcards_"
        )


def slurm(*command: str, seconds: float = 60) -> str:
    """Output of a command of SLURM.

    Raises:
        CalledProcessError: it failed; with a note of what it wrote.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=True
        )
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr)
        raise
    return done.stdout


def jobs(rule: str = "", name: str = "", live: bool = False) -> list[TrainingJob]:
    """Jobs that SLURM still knows, oldest first.

    Args:
        rule: only those of this rule.
        name: only those whose name starts so.
        live: only those that wait or run.
    """
    listed = slurm("squeue", "-h", "--states=all", "-o", SEPARATOR.join(FIELDS))
    found = [TrainingJob(*line.split(SEPARATOR)) for line in listed.splitlines()]
    return sorted(
        (
            job
            for job in found
            if job.name.startswith(name)
            and (not rule or job.does(rule))
            and (job.live or not live)
        ),
        key=lambda job: int(job.number),
    )


def describe(number: str) -> dict[str, str]:
    """What `scontrol show job` says of a job, by key."""
    words = slurm("scontrol", "show", "job", "-o", number).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def submit_line(number: str) -> str:
    """The command that a job was submitted with, from the accounting."""
    return slurm("sacct", "-X", "-n", "-P", "-j", number, "-o", "SubmitLine").strip()


def lives(number: str) -> list[str]:
    """State of every life of a job, requeued ones too, from the accounting."""
    listed = slurm("sacct", "-X", "-n", "-P", "-D", "-j", number, "-o", "State")
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def wait_for(found: Callable[[], T], what: str, seconds: float = 180) -> T:
    """Poll until `found()` is true, and return it.

    Raises:
        TimeoutError: it never was; says `what` was awaited, and shows the queue.
    """
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            queue = slurm("squeue", "--states=all", "-o", "%i %T %N %r %k")
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}\n{queue}")
        time.sleep(0.2)
    return value


def submit(account: str, *words: str) -> str:
    """Submit a job by hand; its number."""
    return slurm("sbatch", "--parsable", "-o", "/dev/null", "-A", account, *words)


def set_node(node: str, state: str) -> None:
    """Set a node `down` or back to `resume`; needs root on the controller."""
    words = [f"nodename={node}", f"state={state}"]
    if state == "down":
        words.append("reason=test")
    slurm("scontrol", "update", *words)
