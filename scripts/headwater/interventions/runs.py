"""The runs of an experiment: the baseline, and every draw of every arm."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BASELINE = "baseline"  # the run without intervention


def arm_runs(config: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Every retraining run as (arm, draw from 0), in the order of the config."""
    return [
        (name, draw)
        for name, arm in config["arms"].items()
        for draw in range(arm["draws"])
    ]


def run_name(arm: str, draw: int) -> str:
    """The name of one draw of an arm, in paths and tables."""
    return f"{arm}-seed{draw}"


def runs_of(arm: str, runs: Iterable[str]) -> list[str]:
    """The names of an arm's runs, by draw."""
    names = [name for name in runs if name.rpartition("-seed")[0] == arm]
    return sorted(names, key=lambda name: int(name.rpartition("-seed")[2]))


def run_tables(folders: Iterable[Path]) -> list[Path]:
    """The tables in the folders of arms (`evaluation/<arm>/<run>.tsv`), by draw."""
    found: list[Path] = []
    for folder in folders:
        tables = {path.stem: path for path in folder.glob("*.tsv")}
        baseline = folder.name == BASELINE
        names = [BASELINE] if baseline else runs_of(folder.name, tables)
        found += [tables[name] for name in names]
    return found
