"""Files of the corpus, as a config names them. Read while rules are parsed."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.net.places import base_name, hub_place, is_remote, remote_problem
from headwater.problems import Key, Problem
from headwater.unreadable import stand_in

TEXT_SUFFIX = ".jsonl.zst"
TEXT_NAME = "text.jsonl.zst"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

_ON_THE_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def row_shards(corpus: Path, config: Mapping[str, Any]) -> list[Path]:
    """The stores of rows in training order, one after another.

    Args:
        corpus: the experiment's folder of them.
    """
    count = config["corpus"]["row_shards"]
    return [corpus / f"{number:04d}.zarr" for number in range(count)]


def text_file(path: Path) -> Path:
    """The `.jsonl.zst` file of a source: itself, or the one in a fetched folder."""
    return path / TEXT_NAME if path.is_dir() else path


def listed(
    entries: Sequence[str], base: Path, suffix: str
) -> Iterator[tuple[int, str]]:
    """The files that some entries stand for, each with the number of its entry.

    Args:
        entries: files, folders or addresses. An empty folder stands for itself, for its
            problem to be found.
        suffix: of the files of a folder.
    """
    for number, entry in enumerate(entries):
        if is_remote(entry):
            yield number, entry
            continue
        path, names = base / entry, []
        if os.path.isdir(path) and os.access(path, os.R_OK):
            names = [name for name in os.listdir(path) if name.endswith(suffix)]
        shown = sorted(name for name in names if not name.startswith("."))
        for file in [Path(entry) / name for name in shown] or [Path(entry)]:
            yield number, str(file)


def place_problems(
    entries: Sequence[str], key: Key, base: Path, suffix: str
) -> list[Problem]:
    """What is wrong with files and addresses of rows of token ids."""
    return [
        Problem(key, f'"{file}": {text}')
        for _, file in listed(entries, base, suffix)
        # On the hub a folder may stand for its files; it is listed when fetched.
        if (text := problem_of(file, base, "" if hub_place(file) else suffix))
    ]


def problem_of(file: str, base: Path, suffix: str) -> str | None:
    """What is wrong with a file or an address, or None."""
    if is_remote(file):
        wrong = remote_problem(file)
        if wrong or base_name(file).endswith(suffix):
            return wrong
        return f"expected the address of a file that ends in {suffix}"
    path = base / file
    try:
        os.lstat(path)
    except PermissionError:
        return stand_in(path)
    except OSError:
        hint = "; a data set of the hub is hf://datasets/<owner>/<name>"
        return "no such file or folder" + (hint if suffix != TEXT_SUFFIX else "")
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        return "you may not read this folder; check its permissions"
    if os.path.isdir(path):
        return f"no *{suffix} files in this folder"
    if not file.endswith(suffix):
        return f"expected a file that ends in {suffix}"
    return stand_in(path)


def tokenizer_problem(name: str, base: Path) -> str | None:
    """What is wrong with a tokenizer's local folder, in one line that names it.

    None if nothing is, or if the name is no path but may be one on the hub.
    """
    path = base / name
    if os.path.isdir(path):
        missing = [file for file in TOKENIZER_FILES if not os.path.isfile(path / file)]
        text = f"no {' and no '.join(missing)} in this folder" if missing else None
        for file in TOKENIZER_FILES:
            if not text and (found := stand_in(path / file)):
                text = f"{file}: {found}"
    elif os.path.lexists(path):
        text = f"not a folder; name the one that holds {TOKENIZER_FILES[0]}"
    elif _ON_THE_HUB.fullmatch(name):
        text = None
    else:
        text = "no such folder; a tokenizer of the hub is <owner>/<name>"
    return text and f'"{name}": {text}'
