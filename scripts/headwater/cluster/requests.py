"""What a run's jobs will ask SLURM for: the adapter to Snakemake and its plugin.

`workflow` is Snakemake's, with its jobs planned and its executor made.
An ordinary job's `sbatch` line is the plugin's own, so what is tried is what will be
submitted. A training run's has the flags of its driver.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.plan.dag import trains
from headwater.training_jobs.launch import read_launch

SUBMITS_NOTHING = ("--test-only", "--wrap=true")


@dataclass(frozen=True)
class Request:
    """One combination of resources, and the rules whose jobs want it.

    Attributes:
        rules: names of rules.
        command: an `sbatch` line that submits nothing.
        wants: the resources.
    """

    rules: tuple[str, ...]
    command: tuple[str, ...]
    wants: dict[str, Any]


def distinct_requests(workflow: Any) -> list[Request]:
    """The different requests of all jobs that will run."""
    by_command: dict[tuple[str, ...], Request] = {}
    for job in workflow.dag.needrun_jobs():
        training = trains(job.rule.name)  # runs here, but submits a job of its own
        if job.is_local and not training:
            continue
        command = _training_trial(job) if training else _trial(job, workflow)
        known = by_command.get(command)
        rules = {*(known.rules if known else ()), job.rule.name}
        wants = {**job.resources, "_cores": job.threads}
        by_command[command] = Request(tuple(sorted(rules)), command, wants)
    return list(by_command.values())


def run_id(workflow: Any) -> str:
    """The name of all jobs of this run."""
    return str(workflow.scheduler._executor.run_uuid)


def keep_logs_in(workflow: Any, name: str) -> None:
    """Give this run a folder of its own for SLURM's logs, beside those of others.

    When a run ends, the plugin removes every empty folder there, and with it the log
    folder of a job of another run that has not begun; SLURM fails such a job.
    """
    executor = workflow.scheduler._executor
    folder = Path(executor.slurm_logdir)
    moved = folder.name == executor.run_uuid
    executor.slurm_logdir = (folder.parent if moved else folder) / name


def limit_growth(workflow: Any, rule: str, resource: str, most: int) -> None:
    """Keep what a rule asks for in later attempts within its partition.

    SLURM refuses a job that is larger than every node, and many clusters take one that
    is too long and never start it.
    """
    resources = workflow.get_rule(rule).resources
    asked = resources.get(resource)
    if asked is None or not asked.is_evaluable():
        return

    def limited(*args: Any, **kwargs: Any) -> Any:
        value = asked.evaluate(*args, **kwargs).value
        return min(value, most) if isinstance(value, int) else value

    resources[resource] = limited


def failed_jobs(workflow: Any) -> Iterator[tuple[str, Path]]:
    """Jobs that failed for good: a name for people, and the folder of SLURM's logs."""
    folder = Path(workflow.scheduler._executor.slurm_logdir)
    for job in sorted(workflow.scheduler.failed, key=str):
        if not job.is_local:
            wildcards = "_".join(job.wildcards).replace("/", "_")
            yield (
                f"{job.rule.name} {wildcards}".strip(),
                folder / f"rule_{job.rule.name}" / wildcards,
            )


def uses_slurm(workflow: Any) -> bool:
    """Whether jobs go to SLURM."""
    return bool(workflow.executor_plugin.name == "slurm")


def _trial(job: Any, workflow: Any) -> tuple[str, ...]:
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    account = job.resources.get("slurm_account")
    partition = job.resources.get("slurm_partition")
    parameters = {
        "run_uuid": "headwater-trial",
        "slurm_logfile": "/dev/null",
        "comment_str": "trial",
        "account": f"-A {shlex.quote(str(account))}" if account else "",
        "partition": f"-p {shlex.quote(str(partition))}" if partition else "",
        "workdir": workflow.workdir_init,
    }
    call = get_submit_command(job, parameters, settings=workflow.executor_settings)
    words = shlex.split(call + set_gres_string(job))
    return (*words, *SUBMITS_NOTHING)


def _training_trial(job: Any) -> tuple[str, ...]:
    """As `training_jobs.slurm` submits it."""
    launch = read_launch(job.resources, job.threads, job.rule.name)
    words = [
        f"--{flag.replace('_', '-')}" + ("" if value is True else f"={value}")
        for flag, value in {**launch.asked, **launch.flags}.items()
        if value is not None
    ]
    return ("sbatch", *words, *SUBMITS_NOTHING)
