"""Which local checkpoints an experiment begins with."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import nearest
from headwater.config.problems import Key, Problem


def wanted_revisions(checkpoints: Mapping[str, Any]) -> list[str]:
    """The published revisions that an experiment needs, in the order of the config."""
    start = [checkpoints["start"]] if "start" in checkpoints else []
    return start or list(checkpoints.get("revisions", ()))


def revision_problems(checkpoints: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a local folder of revisions; a hub is not asked here."""
    if "folder" not in checkpoints:
        return []
    folder = base / checkpoints["folder"]
    key: Key = ("checkpoints", "folder")
    if not folder.is_dir():
        return [Problem(key, f'"{checkpoints["folder"]}": no such folder')]
    names = sorted(name for name in os.listdir(folder) if (folder / name).is_dir())
    missing = [name for name in wanted_revisions(checkpoints) if name not in names]
    return [
        Problem(key, f"no {name} in it; {_near(name, names)}") for name in missing[:1]
    ]


def _near(name: str, names: list[str]) -> str:
    near = nearest(name, names)
    return f"the nearest are {', '.join(near)}" if near else "no other revision either"
