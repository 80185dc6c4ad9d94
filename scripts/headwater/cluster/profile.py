"""The profile in use: which file it is, and the mistakes Snakemake is silent about.

Snakemake refuses an unknown key with a plain value. It drops an unknown key with a
section below it, and takes any name of a rule or of a resource.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from headwater.suggestions import closest, suggestion

# The keys of a profile that may hold a section (snakemake/profiles.py).
SECTIONS = (
    "batch",
    "config",
    "consider-ancient",
    "default-resources",
    "group-components",
    "groups",
    "resources",
    "set-resource-scopes",
    "set-resources",
    "set-scatter",
    "set-threads",
)
# Resources that Snakemake, its SLURM plugin and this workflow's profile know.
RESOURCES = (
    "mem",
    "mem_mb",
    "mem_mib",
    "disk",
    "disk_mb",
    "disk_mib",
    "runtime",
    "tmpdir",
    "slurm_account",
    "slurm_partition",
    "slurm_cluster",
    "slurm_extra",
    "clusters",
    "qos",
    "constraint",
    "nodes",
    "tasks",
    "tasks_per_node",
    "tasks_per_gpu",
    "mpi",
    "cpus_per_task",
    "cpus_per_gpu",
    "mem_mb_per_cpu",
    "gpu",
    "gpu_model",
    "gres",
    "cluster",
    "gpu_slots",
)
# Too short to be guessed from their letters.
MEANT = {"gpus": "gpu", "time": "runtime", "partition": "slurm_partition"}
MEANT |= {"account": "slurm_account", "mem_gb": "mem_mb", "slurm_qos": "qos"}
ELSEWHERE = {"threads": "set-threads", "cpus": "set-threads"}  # sections of their own


def profile_file(arguments: Iterable[str] = tuple(sys.argv[1:])) -> str:
    """The profile's file as the user would name it; it may not exist."""
    words = list(arguments)
    named = os.environ.get("SNAKEMAKE_PROFILE") or "profiles/slurm"
    for i, word in enumerate(words):
        if word == "--profile" and i + 1 < len(words):
            named = words[i + 1]
        elif word.startswith("--profile="):
            named = word.removeprefix("--profile=")
    folder = Path(named)
    return str(folder / "config.yaml" if folder.is_dir() else folder)


def profile_problems(
    file: str,
    rules: set[str],
    defaults: Iterable[str],
    overwritten: Mapping[str, Iterable[str]],
) -> list[str]:
    """One line for each name in the profile that nothing has.

    Args:
        file: the profile, from `profile_file`.
        defaults: resources under `default-resources`.
        overwritten: rules under `set-resources`, each with its resources.
    """
    found = list(_unknown_sections(file))
    found += [
        f"default-resources.{name}: {wrong}"
        for name in defaults
        if (wrong := _wrong(name))
    ]
    places: dict[str, list[str]] = {}  # of each wrong name
    for rule, names in overwritten.items():
        if rule not in rules:
            hint = suggestion(rule, rules)
            found.append(f'set-resources.{rule}: no rule "{rule}"{hint}')
        for name in filter(_wrong, names):
            places.setdefault(name, []).append(f"set-resources.{rule}.{name}")
    found += [f"{shared_place(own)}: {_wrong(name)}" for name, own in places.items()]
    return [f"{file}: {text}" for text in found]


def _unknown_sections(file: str) -> Iterator[str]:
    path = Path(file)
    given: Any = (
        yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    )
    for key, value in (given or {}).items():
        if isinstance(value, Mapping) and key not in SECTIONS:
            yield f"{key}: unknown key{suggestion(key, SECTIONS)}"


def shared_place(places: Iterable[str]) -> str:
    """One place for all: `set-resources.score_rows.gpu (also of score_tokens)`."""
    first, *others = places
    rules = ", ".join(other.split(".")[1] for other in others)
    return first + (f" (also of {rules})" if rules else "")


def _wrong(name: str) -> str | None:
    """What is wrong with the name of a resource."""
    if name in RESOURCES:
        return None
    if name in ELSEWHERE:
        return f"has no effect here; it is set under {ELSEWHERE[name]}"
    # A site may count what it likes; only a name that is nearly a known one is wrong.
    meant = MEANT.get(name) or closest(name, RESOURCES)
    return f'unknown resource; did you mean "{meant}"?' if meant else None
