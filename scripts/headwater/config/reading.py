"""A config file, for the commands that are not Snakemake."""

from pathlib import Path
from typing import Any

import yaml

from headwater.config import load_config
from headwater.errors import HeadwaterError


def read_config_file(name: str) -> dict[str, Any]:
    """The config of a file, checked and with its defaults.

    Raises:
        HeadwaterError: no such file, not YAML, or one line a mistake.
    """
    path = Path(name)
    if not path.is_file():
        raise HeadwaterError(f"{path}: no such config file")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise HeadwaterError(f"{path}: not YAML ({reason})") from error
    return load_config(raw, str(path), Path.cwd())
