"""Training jobs on SLURM: submitted with submitit, watched with squeue.

submitit asks sacct how a job is, which clusters without accounting lack, and then never
notices a job that died without a result. squeue is everywhere.
"""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import submitit

from headwater.errors import HeadwaterError
from headwater.imports import ROOT
from headwater.slurm import SlurmError, call
from headwater.training.spec import Spec
from headwater.training_jobs.launch import Launch

# Of one job. What bounds them is that each makes a step: see `worker.Training`.
LIVES = 1_000_000
PATIENCE = 60.0  # seconds that the controller has for an answer
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}


def signal_seconds(minutes: int) -> int:
    """How long before its time limit a job is told to save: a quarter of it, or 300."""
    return min(300, 15 * minutes)


def submit(spec: Spec, launch: Launch, training: Callable[[str], None]) -> str:
    """Submit a run, whose ranks call `training` with the path of the specification.

    Returns:
        The job's id.

    Raises:
        HeadwaterError: sbatch is not there, or refuses.
    """
    path = spec.write()
    try:
        with clean_environment():
            executor = submitit.SlurmExecutor(
                spec.folder / "submitit", max_num_timeout=LIVES
            )
            executor.update_parameters(**_parameters(spec, launch))
            return str(executor.submit(training, str(path.resolve())).job_id)
    except (RuntimeError, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        told = [line for line in lines if "sbatch: error" in line] or lines[-1:]
        reason = " ".join(line.removeprefix("sbatch: error: ") for line in told)
        raise HeadwaterError(
            f"{spec.name}: the job was not submitted ({reason}); see partition, "
            "account and resources of its rule in the profile"
        ) from error


def _parameters(spec: Spec, launch: Launch) -> dict[str, object]:
    return {
        "job_name": job_name(spec),
        "comment": spec.name,
        **launch.asked,
        "signal_delay_s": signal_seconds(launch.minutes),
        "stderr_to_stdout": True,
        "wckey": None,  # submitit's own would be refused where wckeys are checked
        "additional_parameters": {"requeue": True, **launch.flags},
        # sbatch no longer hands --cpus-per-task on to srun. A rank that dies takes the
        # others with it; one that ends well may end before the others.
        "srun_args": [
            f"--cpus-per-task={launch.threads}",
            "--kill-on-bad-exit=1",
            "--wait=0",
        ],
        "setup": [
            f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}"
        ],
    }


def job_name(spec: Spec) -> str:
    """What squeue calls the run's job."""
    return f"headwater-{spec.config['experiment']}-{spec.name}"


def state(job: str) -> str | None:
    """State of a job and the reason for it; None when it has ended or is unknown.

    When the controller does not answer, that is the state: `no answer (...)`.
    """
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job}"]
    try:
        known, words = call([*command, "--format=%T (%r)"], PATIENCE)
    except SlurmError as error:
        return f"no answer ({error.reason})"
    if not known:
        gone = "Invalid job id" in words
        return None if gone else f"no answer ({' '.join(words.split())})"
    ended = not words or words.split()[0] in ENDED
    return None if ended else words.removesuffix(" (None)")


def cancel(job: str) -> None:
    """Ask SLURM to end a job."""
    with suppress(SlurmError):  # then it is still there, and its driver says so
        call(["scancel", job], PATIENCE)


@contextmanager
def clean_environment() -> Iterator[None]:
    """Without the variables of a surrounding SLURM job: the new one would obey them."""
    kept = {k: v for k, v in os.environ.items() if k == "SLURM_CONF"}
    with submitit.helpers.clean_env(extra_names=("CUDA_VISIBLE_DEVICES",)):
        os.environ.update(kept)
        yield
