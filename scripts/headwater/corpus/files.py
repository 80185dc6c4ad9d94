"""Files of the corpus, as a config names them. Read while rules are parsed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from headwater.net.places import base_name, hub_place, is_remote, remote_problem
from headwater.problems import Key, Problem

TEXT_SUFFIX = ".jsonl.zst"
TEXT_NAME = "text.jsonl.zst"


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
        base: the folder that relative paths start from.
        suffix: of the files of a folder.
    """
    for number, entry in enumerate(entries):
        if is_remote(entry):
            yield number, entry
            continue
        names = _names_in(base / entry, suffix)
        for file in [Path(entry) / name for name in names] or [Path(entry)]:
            yield number, str(file)


def _names_in(path: Path, suffix: str) -> list[str]:
    if not os.path.isdir(path) or not os.access(path, os.R_OK):
        return []
    names = [name for name in os.listdir(path) if name.endswith(suffix)]
    return sorted(name for name in names if not name.startswith("."))


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
    if not os.path.lexists(path):
        hint = "; a data set of the hub is hf://datasets/<owner>/<name>"
        return "no such file or folder" + (hint if suffix != TEXT_SUFFIX else "")
    if not os.access(path, os.R_OK):
        return "cannot be read; check its permissions, or where it links to"
    if path.is_dir():
        return f"no *{suffix} files in this folder"
    if not file.endswith(suffix):
        return f"expected a file that ends in {suffix}"
    return None
