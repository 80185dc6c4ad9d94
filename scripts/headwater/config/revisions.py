"""Which published checkpoints an experiment begins with."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import CONFIG, folder_problem
from headwater.checkpoints.shape import read_config, shape_problem
from headwater.corpus.tokenfolder import NEEDED
from headwater.problems import Key, Problem

FOLDER: Key = ("checkpoints", "folder")


def wanted_revisions(checkpoints: Mapping[str, Any]) -> list[str]:
    """The published revisions that an experiment needs, in the order of the config."""
    start = [checkpoints["start"]] if "start" in checkpoints else []
    return start or list(checkpoints.get("revisions", ()))


def with_checkpoint(
    tokenizer: Mapping[str, Any], checkpoints: Mapping[str, Any], base: Path
) -> dict[str, Any]:
    """A tokenizer's settings, with the one beside a local checkpoint for the hub's.

    Published revisions hold their tokenizer. Who has them on disk needs no network for
    it, and names one path less.

    Args:
        tokenizer: `corpus.tokenizer`; a local folder in it is kept.
        checkpoints: the config's section.
        base: the folder that relative paths start from.
    """
    settings = dict(tokenizer)
    if "folder" not in checkpoints or os.path.isdir(base / settings["name"]):
        return settings
    folder = Path(checkpoints["folder"]) / wanted_revisions(checkpoints)[0]
    if all(os.path.isfile(base / folder / file) for file in NEEDED):
        settings["name"] = str(folder)
    return settings


def revision_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a local folder of revisions. The hub is not asked here."""
    return [*_folder_problems(config["checkpoints"], base)]


def shape_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Where a local model is of another shape than the config says: the first place."""
    for name, folder in _folders(config["checkpoints"], base):
        if wrong := _shape_problem(folder / name / CONFIG, config):
            place = Path(config["checkpoints"]["folder"]) / name / CONFIG
            return [Problem(FOLDER, f'"{place}": {wrong}')]
    return []


def _shape_problem(path: Path, config: Mapping[str, Any]) -> str | None:
    if not os.path.isfile(path):
        return None  # as `revision_problems` says
    try:
        return shape_problem(read_config(path), config)
    except (OSError, ValueError) as error:
        return f"cannot be read ({error}); copy it again"


def _folder_problems(checkpoints: Mapping[str, Any], base: Path) -> Iterator[Problem]:
    # The first will do: the others mostly have the same cause.
    for name, folder in _folders(checkpoints, base):
        if wrong := folder_problem(folder, name):
            yield Problem(FOLDER, f'"{checkpoints["folder"]}": {wrong}')
            return


def _folders(checkpoints: Mapping[str, Any], base: Path) -> Iterator[tuple[str, Path]]:
    if "folder" in checkpoints:
        for name in wanted_revisions(checkpoints):
            yield name, base / checkpoints["folder"]
