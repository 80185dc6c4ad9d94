"""Which files the corpus is made of."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from headwater.config.problems import ConfigError, Key, Problem

SOURCE_SUFFIX = ".jsonl.zst"

# Source names become file names and Snakemake wildcards.
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def list_sources(shards: Sequence[str], base: Path) -> list[str]:
    """The input files of the corpus, sorted by name.

    Args:
        shards: `corpus.shards`, files or folders.
        base: the folder that relative paths start from.

    Returns:
        One path for each file, relative to `base` where the entry was.

    Raises:
        ConfigError: one line for each entry that is missing, empty, no `.jsonl.zst`
            file, or a second one of the same name.
    """
    problems = source_problems(shards, base)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    files = [file for _, file in _entries(shards, base)]
    return sorted(files, key=source_name)


def source_name(file: str) -> str:
    """The name of a source: `resources/corpus/prose.jsonl.zst` is `prose`."""
    return Path(file).name.removesuffix(SOURCE_SUFFIX)


def source_problems(shards: Sequence[str], base: Path) -> list[Problem]:
    """What is wrong with the entries of `corpus.shards`."""
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for key, file in _entries(shards, base):
        text = _file_problem(file, base)
        if not text and source_name(file) in first:
            text = _second_problem(first[source_name(file)], file, base)
        if text:
            problems.append(Problem(key, f'"{file}": {text}'))
        else:
            first[source_name(file)] = file
    return problems


def _entries(shards: Sequence[str], base: Path) -> Iterator[tuple[Key, str]]:
    # An empty folder stands for itself, for its problem to be found.
    for number, entry in enumerate(shards):
        key: Key = ("corpus", "shards", number)
        names = _names_in(base / entry)
        for file in [Path(entry) / name for name in names] or [Path(entry)]:
            yield key, str(file)


def _names_in(path: Path) -> list[str]:
    if not os.path.isdir(path) or not os.access(path, os.R_OK):
        return []
    names = [name for name in os.listdir(path) if name.endswith(SOURCE_SUFFIX)]
    return sorted(name for name in names if not name.startswith("."))


def _file_problem(file: str, base: Path) -> str | None:
    path = base / file
    if not os.path.lexists(path):
        return "no such file or folder"
    if not os.access(path, os.R_OK):
        return "cannot be read; check its permissions, or where it links to"
    if path.is_dir():
        return f"no *{SOURCE_SUFFIX} files in this folder"
    if not file.endswith(SOURCE_SUFFIX):
        return f"expected a file that ends in {SOURCE_SUFFIX}"
    if not SOURCE_NAME.fullmatch(source_name(file)):
        return 'use only letters, digits, ".", "_" and "-" in its name'
    return None


def _second_problem(first: str, second: str, base: Path) -> str:
    if os.path.samefile(base / first, base / second):
        return "listed twice; remove one"
    return f'has the same name as "{first}"; rename one'
