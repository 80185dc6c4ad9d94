"""The cluster's partitions, and why a job cannot run in one."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.slurm import lines
from headwater.suggestions import suggestion

FIELDS = "%R|%l|%m|%c|%G|%f"  # name, time limit, MB and CPUs of a node, gres, features


@dataclass
class Partition:
    """What a partition's nodes have.

    Attributes:
        minutes: the time limit; None if there is none.
        mem_mb: memory of its largest node.
        cpus: CPUs of its largest node.
        gres: generic resources, e.g. `gpu:a100:4`.
        features: what `--constraint` can ask for.
    """

    minutes: int | None
    mem_mb: int = 0
    cpus: int = 0
    gres: set[str] = field(default_factory=set)
    features: set[str] = field(default_factory=set)

    @property
    def gpus(self) -> int:
        """GPUs of the node that has most."""
        return max((gres_count(entry, "gpu") for entry in self.gres), default=0)


def read_partitions() -> dict[str, Partition]:
    """Every partition that `sinfo` shows, by name.

    Raises:
        SlurmError: SLURM cannot be asked.
    """
    found: dict[str, Partition] = {}
    for line in lines("sinfo", "-h", "-o", FIELDS):
        name, limit, memory, cpus, gres, features = line.split("|")
        partition = found.setdefault(name, Partition(minutes_of(limit)))
        partition.mem_mb = max(partition.mem_mb, _number(memory))
        partition.cpus = max(partition.cpus, _number(cpus))
        partition.gres |= _words(gres)
        partition.features |= _words(features)
    return found


Misfit = tuple[str, str]  # a resource's name, and what is wrong with its value


def misfits(wants: Mapping[str, Any], known: Mapping[str, Partition]) -> list[Misfit]:
    """What of a job's resources its partition cannot serve, and why.

    Args:
        known: from `read_partitions`.
    """
    name = str(wants.get("slurm_partition", ""))
    if not name:
        return []  # the cluster's default
    if name not in known:
        listed = f"; there are: {', '.join(sorted(known))}"
        hint = suggestion(name, known, listed)
        return [("slurm_partition", f'partition "{name}" does not exist{hint}')]
    partition, where = known[name], f'partition "{name}"'
    gpus = _gpus_wanted(wants)
    if gpus and not partition.gpus:
        return [("slurm_partition", f"{where} has no GPUs{_others(known, gpus)}")]
    job = wants, partition, where
    return [
        found for found in (_gpus(*job), *_too_much(*job), _constraint(*job)) if found
    ]


def _gpus(wants: Mapping[str, Any], partition: Partition, where: str) -> Misfit | None:
    kind = _kind_wanted(wants)
    if kind and not any(entry.startswith(kind + ":") for entry in partition.gres):
        listed = f"; there are: {', '.join(sorted(partition.gres)) or 'none'}"
        key = "gpu_model" if wants.get("gpu_model") else "gres"
        return key, f'no node of {where} has "{kind}"{listed}'
    gpus, most = _gpus_wanted(wants), partition.gpus
    if gpus <= most:
        return None
    return "gpu", f"{gpus} GPUs, but a node of {where} has {most}; ask for no more"


def _too_much(
    wants: Mapping[str, Any], partition: Partition, where: str
) -> Iterator[Misfit]:
    limit, node = f"{where} allows", f"the largest node of {where} has"
    key = "cpus_per_task" if wants.get("cpus_per_task") else "threads"
    cpus = wants.get("cpus_per_task") or wants.get("_cores")
    for name, wanted, unit, there_is, most in (
        ("runtime", wants.get("runtime"), "minutes", limit, partition.minutes),
        ("mem_mb", wants.get("mem_mb"), "MB", node, partition.mem_mb),
        (key, cpus or 1, "CPUs", node, partition.cpus),
    ):
        asked = int(wanted or 0)
        if most is not None and asked > most:
            text = f"{asked} {unit}, but {there_is} {most}"
            yield name, f"{text}; set it there, to {most} at most"


def _constraint(
    wants: Mapping[str, Any], partition: Partition, where: str
) -> Misfit | None:
    wanted, known = str(wants.get("constraint") or ""), partition.features
    if not wanted.isidentifier() or wanted in known:
        return None
    listed = f"; there are: {', '.join(sorted(known)) or 'none'}"
    found = suggestion(wanted, known, listed)
    return "constraint", f'no node of {where} has the feature "{wanted}"{found}'


def minutes_of(limit: str) -> int | None:
    """A time limit as `sinfo` writes it (`1-00:00:00`, `2:00:00`, `30:00`)."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return None  # infinite, n/a
    hours, minutes = ([0, 0, *map(int, parts)])[-3:-1]
    return (int(days or 0) * 24 + hours) * 60 + minutes


def gres_count(entry: str, kind: str) -> int:
    """How many of a kind a gres entry names: `gpu:a100:4(S:0-1)` has 4 of `gpu`."""
    name, *rest = entry.split("(")[0].split(":")
    if name != kind:
        return 0
    return int(rest[-1]) if rest and rest[-1].isdigit() else 1


def _gpus_wanted(wants: Mapping[str, Any]) -> int:
    from_gres = gres_count(str(wants.get("gres") or ""), "gpu")
    # `gpu` counts those of all nodes, `gres` those of each.
    return max(int(wants.get("gpu") or 0) // int(wants.get("nodes") or 1), from_gres)


def _kind_wanted(wants: Mapping[str, Any]) -> str:
    """The kind of GPU that is named, as gres has it: `gpu:a100`; or nothing."""
    if wants.get("gpu_model"):
        return f"gpu:{wants['gpu_model']}"
    parts = str(wants.get("gres") or "").split(":")
    named = len(parts) > 1 and not parts[1].isdigit()
    return ":".join(parts[:2]) if named else ""


def _others(known: Mapping[str, Partition], gpus: int) -> str:
    names = [name for name, other in known.items() if other.gpus >= gpus]
    return f"; these have: {', '.join(sorted(names))}" if names else ""


def _number(text: str) -> int:
    return int(text.rstrip("+") or 0)


def _words(text: str) -> set[str]:
    # Commas also stand inside brackets: gpu:a100:4(S:0,1).
    return set() if text == "(null)" else set(re.findall(r"(?:[^,(]|\(.*?\))+", text))
