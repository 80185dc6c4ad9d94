"""A model's revisions: their names, and the folder of those on this machine.

Read while rules are parsed, so it imports little.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.steps import step_name, step_of
from headwater.suggestions import nearest

CONFIG, SAFE, PICKLED = "config.json", "model.safetensors", "pytorch_model.bin"


def revision_steps(checkpoints: Mapping[str, Any]) -> dict[str, int]:
    """The steps of the published revisions that an experiment takes, by their names.

    They are named after their steps, or the config says which steps they are.
    """
    named = checkpoints.get("revisions", ())
    if isinstance(named, Mapping):
        return dict(named)
    return {name: step_of(name) or 0 for name in named}


def source_names(checkpoints: Mapping[str, Any]) -> dict[str, str]:
    """The published revisions that an experiment needs, by the folders they get here.

    Those that are taken are named after their steps; the start is called as it is.
    """
    if "start" in checkpoints:
        return {checkpoints["start"]: checkpoints["start"]}
    return {step_name(s): name for name, s in revision_steps(checkpoints).items()}


def folder_problem(folder: Path, revision: str) -> str | None:
    """What keeps a folder of revisions from giving one, in one line, if anything."""
    if not os.path.isdir(folder):
        return "no such folder"
    if os.path.isdir(folder / revision):
        return _missing_files(folder / revision)
    if any(os.path.isfile(folder / name) for name in (CONFIG, SAFE, PICKLED)):
        own = Path(os.path.abspath(folder)).name
        as_start = "" if own == revision else f" (and {own} as the revision)"
        return (
            "a revision itself, but it must hold one folder for each revision; name "
            f"the folder above it{as_start}"
        )
    names = os.listdir(folder) if os.access(folder, os.R_OK) else []
    names = sorted(name for name in names if os.path.isdir(folder / name))
    near = ", ".join(nearest(revision, names))
    return f"no {revision} in it; " + (
        f"the nearest are {near}"
        if near
        else "it must hold one folder for each revision"
    )


def _missing_files(folder: Path) -> str | None:
    kinds = (SAFE, f"{SAFE}.index.json", PICKLED, f"{PICKLED}.index.json")
    if not os.path.isfile(folder / CONFIG):
        lacks = CONFIG
    elif not any(os.path.isfile(folder / name) for name in kinds):
        lacks = f"{SAFE} or {PICKLED}"
    else:
        return None
    return f"no {lacks} in {folder}; put a Hugging Face checkpoint there"
