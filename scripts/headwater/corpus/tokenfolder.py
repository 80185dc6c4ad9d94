"""Tokenizers that exist: where they are, and whether they are named rightly.

Read while rules are parsed.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NEEDED = ("tokenizer.json", "tokenizer_config.json")

_ON_THE_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def folder_problem(name: str, base: Path) -> str | None:
    """What is wrong with a tokenizer's local folder.

    Args:
        name: `corpus.tokenizer.name`.
        base: the folder that relative paths start from.

    Returns:
        One line that names it; None if nothing is wrong, or if it is no path but may be
        a name on the hub.
    """
    path = base / name
    if os.path.isdir(path):
        missing = [file for file in NEEDED if not os.path.isfile(path / file)]
        text = f"no {' and no '.join(missing)} in this folder" if missing else None
    elif os.path.lexists(path):
        text = f"not a folder; name the one that holds {NEEDED[0]}"
    elif _ON_THE_HUB.fullmatch(name):
        text = None
    else:
        text = "no such folder; a tokenizer of the hub is <owner>/<name>"
    return text and f'"{name}": {text}'


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
    revision = checkpoints.get("start") or checkpoints["revisions"][0]
    folder = Path(checkpoints["folder"]) / revision
    if all(os.path.isfile(base / folder / file) for file in NEEDED):
        settings["name"] = str(folder)
    return settings
