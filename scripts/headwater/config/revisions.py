"""Which published checkpoints an experiment begins with, and whether its rows fit."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import nearest
from headwater.config.problems import Key, Problem

# The training files of 14M and 31M (github.com/EleutherAI/pythia, models/) name the
# deduplicated Pile, though their model cards say "standard". The others exist in both
# flavours. Further seeds (-seed<N>) have rows of their own.
PYTHIA = re.compile(r"EleutherAI/pythia-([0-9.]+[mb])(-deduped)?")
ALWAYS_DEDUPED = ("14m", "31m")
ROWS = "hf://datasets/EleutherAI/pile-{}-pythia-preshuffled"


def wanted_revisions(checkpoints: Mapping[str, Any]) -> list[str]:
    """The published revisions that an experiment needs, in the order of the config."""
    start = [checkpoints["start"]] if "start" in checkpoints else []
    return start or list(checkpoints.get("revisions", ()))


def revision_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a local folder of revisions, or with the rows beside a model.

    The hub is not asked here.
    """
    found = [*_folder_problems(config["checkpoints"], base)]
    return [*found, *_flavour_problems(config)]


def _folder_problems(checkpoints: Mapping[str, Any], base: Path) -> Iterator[Problem]:
    if "folder" not in checkpoints:
        return
    folder = base / checkpoints["folder"]
    key: Key = ("checkpoints", "folder")
    if not folder.is_dir():
        yield Problem(key, f'"{checkpoints["folder"]}": no such folder')
        return
    names = sorted(name for name in os.listdir(folder) if (folder / name).is_dir())
    missing = [name for name in wanted_revisions(checkpoints) if name not in names]
    if missing:
        near = ", ".join(nearest(missing[0], names)) or "none"
        yield Problem(key, f"no {missing[0]} in it; the nearest are {near}")


def _flavour_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    repo = config["checkpoints"].get("repo", "")
    path = config["corpus"].get("pythia", {}).get("path", "")
    model = PYTHIA.fullmatch(repo)
    rows = re.match(ROWS.format("(deduped|standard)"), path)
    if model is None or rows is None:
        return
    own = "deduped" if model[2] or model[1] in ALWAYS_DEDUPED else "standard"
    if rows[1] != own:
        text = f"{repo} was trained on other rows, those of {ROWS.format(own)}"
        yield Problem(("corpus", "pythia", "path"), text)
