"""Whether a tokenizer that exists is named rightly. Read while rules are parsed."""

import os
import re
from pathlib import Path

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
