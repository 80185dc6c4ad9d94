"""Which published checkpoints an experiment begins with, and whether its rows fit."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import CONFIG, folder_problem
from headwater.checkpoints.shape import read_config, shape_problem
from headwater.corpus.tokenfolder import NEEDED
from headwater.problems import Key, Problem

# The training files of 14M and 31M (github.com/EleutherAI/pythia, models/) name the
# deduplicated Pile, though their model cards say "standard". The others exist in both
# flavours. Further seeds (-seed<N>) have rows of their own.
PYTHIA = re.compile(r"EleutherAI/pythia-([0-9.]+[mb])(-deduped)?")
ALWAYS_DEDUPED = ("14m", "31m")
FOLDER: Key = ("checkpoints", "folder")
ROWS = "hf://datasets/EleutherAI/pile-{}-pythia-preshuffled"


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
    """What is wrong with a local folder of revisions, or with the rows beside a model.

    The hub is not asked here.
    """
    found = [*_folder_problems(config["checkpoints"], base)]
    return [*found, *_flavour_problems(config)]


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
