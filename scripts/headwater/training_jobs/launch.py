"""What a rule's resources ask for, as ranks, nodes and flags of sbatch.

    resource          meaning                                        sbatch
    ----------------  ---------------------------------------------  -----------------
    slurm_partition   given: SLURM; not given: this machine          --partition
    slurm_account                                                    --account
    qos, constraint                                                  --qos, --constraint
    nodes             nodes of the run, 1 if not given               --nodes
    tasks             ranks of the run; tasks_per_node, of a node    --ntasks-per-node
    gpu (gpu_model)   GPUs of the run; one rank each without `tasks` --gpus-per-node
    gres              instead of gpu, of each node                   --gres
    threads           CPU threads of each rank                       --cpus-per-task
    mem_mb            memory of each rank                            --mem, of a node
    runtime           minutes                                        --time
    slurm_extra       further flags, as --name=value                 as they are

Resources with other names are left alone.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.errors import HeadwaterError

# Flags of sbatch that have a resource of their own, or that the job's life depends on.
MANAGED = {
    "job-name",
    "output",
    "error",
    "open-mode",
    "signal",
    "requeue",
    "no-requeue",
    "partition",
    "account",
    "qos",
    "constraint",
    "nodes",
    "ntasks",
    "time",
    "mem",
    "ntasks-per-node",
    "cpus-per-task",
    "gpus",
    "gpus-per-node",
    "gres",
    "array",
    "wrap",
    "chdir",
    "export",
    "parsable",
    "wait",
}


@dataclass(frozen=True)
class Launch:
    """How a training run is executed.

    Attributes:
        partition: SLURM partition; None for this machine.
        ranks: processes of the run.
        nodes: nodes they are on.
        threads: CPU threads of each rank.
        gpus: GPUs of a node, 0 for none.
        mem_mb: memory of a node.
        minutes: time limit.
        flags: further flags of sbatch; True for one without a value.
    """

    partition: str | None
    ranks: int
    nodes: int
    threads: int
    gpus: int
    mem_mb: int
    minutes: int
    flags: dict[str, Any]

    @property
    def per_node(self) -> int:
        """Ranks of each node."""
        return self.ranks // self.nodes

    @property
    def asked(self) -> dict[str, Any]:
        """What every job asks sbatch for, as submitit spells it."""
        return {
            "partition": self.partition,
            "nodes": self.nodes,
            "ntasks_per_node": self.per_node,
            "cpus_per_task": self.threads,
            "mem": f"{self.mem_mb}MB" if self.mem_mb else None,
            "time": self.minutes,
        }


def read_launch(resources: Mapping[str, Any], threads: int, rule: str) -> Launch:
    """How the resources of a rule say that its run is executed.

    Raises:
        HeadwaterError: a resource that is no count, ranks or GPUs that the nodes do not
            share evenly, or a flag that is not free.
    """
    nodes = _count(resources, "nodes", rule) or 1
    gpus = _gpus(resources, nodes, rule)
    ranks = _ranks(resources, nodes, gpus, rule)
    partition = resources.get("slurm_partition")
    if partition is None and nodes > 1:
        raise HeadwaterError(
            f"{rule}: nodes={nodes} without slurm_partition; several nodes need SLURM, "
            "run with --profile profiles/slurm"
        )
    memory = _count(resources, "mem_mb", rule) or 0
    return Launch(
        partition=partition,
        ranks=ranks,
        nodes=nodes,
        threads=threads,
        gpus=gpus // nodes,
        mem_mb=memory * ranks // nodes,
        minutes=_count(resources, "runtime", rule) or 60,
        flags=_flags(resources, gpus // nodes, rule),
    )


def _count(resources: Mapping[str, Any], name: str, rule: str) -> int | None:
    value = resources.get(name)
    if value is None or (isinstance(value, int) and value >= 0):
        return value
    raise HeadwaterError(
        f"{rule}: resource {name} is {value!r}, not a whole number; mend it in the "
        "profile or on the command line"
    )


def _gpus(resources: Mapping[str, Any], nodes: int, rule: str) -> int:
    gres = str(resources.get("gres") or "")
    if gres.startswith("gpu"):
        count = re.search(r":(\d+)$", gres)
        return nodes * int(count[1] if count else 1)
    gpus = _count(resources, "gpu", rule) or 0
    _check_shared(gpus, nodes, "gpu", rule)
    return gpus


def _ranks(resources: Mapping[str, Any], nodes: int, gpus: int, rule: str) -> int:
    each = _count(resources, "tasks_per_node", rule)
    ranks = _count(resources, "tasks", rule)
    if each and ranks and each * nodes != ranks:
        raise HeadwaterError(
            f"{rule}: tasks={ranks} is not tasks_per_node={each} times nodes={nodes}; "
            "give one of the two"
        )
    ranks = ranks or (each or 0) * nodes or max(gpus, nodes)
    _check_shared(ranks, nodes, "tasks", rule)
    return ranks


def _check_shared(count: int, nodes: int, name: str, rule: str) -> None:
    if count % nodes:
        raise HeadwaterError(
            f"{rule}: {name}={count} cannot be shared by nodes={nodes} evenly; use a "
            "multiple"
        )


def _flags(resources: Mapping[str, Any], gpus: int, rule: str) -> dict[str, Any]:
    flags: dict[str, Any] = {
        flag: resources[name]
        for name, flag in (
            ("slurm_account", "account"),
            ("qos", "qos"),
            ("constraint", "constraint"),
            ("gres", "gres"),
        )
        if resources.get(name)
    }
    if gpus and "gres" not in flags:
        model = resources.get("gpu_model")
        flags["gpus-per-node"] = f"{model}:{gpus}" if model else gpus
    return {**flags, **_extra(str(resources.get("slurm_extra") or ""), rule)}


def _extra(text: str, rule: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise HeadwaterError(f"{rule}: slurm_extra {text!r}: {error}") from error
    for word in words:
        match = re.fullmatch(r"--([a-z][a-z-]*)(?:=(.+))?", word)
        if match is None:
            raise HeadwaterError(
                f"{rule}: slurm_extra {word!r}: write every flag as --name=value"
            )
        if match[1] in MANAGED:
            raise HeadwaterError(
                f"{rule}: slurm_extra --{match[1]} is not free: it has a resource of "
                "its own, or the run depends on it; remove it"
            )
        found[match[1]] = match[2] or True
    return found
