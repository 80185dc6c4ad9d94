"""Which files the corpus is made of."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.corpus.sources import SOURCE_SUFFIX, has_rows, rows_held_out
from headwater.corpus.tokenfolder import folder_problem
from headwater.corpus.tokenparts import ITEM_BYTES, check_sizes, part_order_of
from headwater.errors import HeadwaterError
from headwater.net.places import base_name, is_remote, remote_problem
from headwater.problems import ConfigError, Key, Problem
from headwater.steps import past_the_end, training_rows

TOKEN_SUFFIX = ".bin"
BATCH_SUFFIX = ".parquet"

# Source names become file names and Snakemake wildcards.
SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")

Corpus = Mapping[str, Any]
SHARDS: Key = ("corpus", "shards")
HELD_OUT: Key = ("corpus", "held_out", "shards")


def list_sources(shards: Sequence[str], base: Path, key: Key = SHARDS) -> list[str]:
    """The text files of the corpus, sorted by name.

    Args:
        shards: `corpus.shards`, files, folders or addresses.
        base: the folder that relative paths start from.
        key: where the config names them, for the messages.

    Returns:
        One path for each file, relative to `base` where the entry was, or its address.

    Raises:
        ConfigError: one line for each entry that is missing, empty, no `.jsonl.zst`
            file, or a second one of the same name.
    """
    problems = source_problems(shards, base, key)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    files = [file for _, file in _entries(shards, base, key, SOURCE_SUFFIX)]
    return sorted(files, key=source_name)


def source_name(file: str) -> str:
    """The name of a source: `resources/corpus/prose.jsonl.zst` is `prose`."""
    return base_name(file).removesuffix(SOURCE_SUFFIX)


def dataset_sources(dataset: Mapping[str, Any]) -> list[str]:
    """Names of the sources that a data set of text becomes, one for each job."""
    first = dataset["name"] if "name" in dataset else base_name(dataset["files"][0])
    name = _UNFIT.sub("-", first.rsplit("/", 1)[-1]).strip("-._") or "dataset"
    return [f"{name}-{job:04d}" for job in range(dataset["jobs"])]


def row_files(corpus: Corpus, base: Path) -> list[str]:
    """The local files of a source of token ids; [] where they must be fetched first."""
    if not has_rows(corpus) or "dataset" in corpus:
        return []
    if "pythia" in corpus:
        entries, suffix = [corpus["pythia"]["path"]], TOKEN_SUFFIX
    else:
        entries, suffix = corpus["parquet"]["files"], BATCH_SUFFIX
    if any(map(is_remote, entries)):
        return []
    return [file for _, file in _entries(entries, base, (), suffix)]


def probe_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Files of dataset probes that are not there."""
    return [
        Problem(("targets", name, "data"), f"{target['data']}: no such file")
        for name, target in config["targets"].items()
        if "data" in target and not (base / target["data"]).is_file()
    ]


def corpus_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with the files and addresses of a corpus."""
    corpus: Corpus = config["corpus"]
    problems: list[Problem] = []
    if "shards" in corpus:
        problems += source_problems(corpus["shards"], base)
    if "pythia" in corpus:
        key: Key = ("corpus", "pythia", "path")
        problems += _place_problems([corpus["pythia"]["path"]], base, key, TOKEN_SUFFIX)
    if "parquet" in corpus:
        key, files = ("corpus", "parquet", "files"), corpus["parquet"]["files"]
        problems += _place_problems(files, base, key, BATCH_SUFFIX)
        if len({is_remote(file) for file in files}) > 1:
            text = "either local files or addresses, not both; put them in two configs"
            problems.append(Problem(key, text))
    for number, file in enumerate(corpus.get("dataset", {}).get("files", ())):
        if not os.path.isfile(base / file):
            key = ("corpus", "dataset", "files", number)
            problems.append(Problem(key, f'"{file}": no such file'))
    return problems


def held_out_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with text that is held out."""
    shards = config["corpus"]["held_out"].get("shards", [])
    return source_problems(shards, base, HELD_OUT)


def tokenizer_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a tokenizer's local folder. The hub is not asked here."""
    tokenizer = config["corpus"]["tokenizer"]
    wrong = folder_problem(tokenizer["name"], base) if "name" in tokenizer else None
    return [Problem(("corpus", "tokenizer", "name"), wrong)] if wrong else []


def row_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Local token files that do not fit together, or have too few rows for the run."""
    corpus = config["corpus"]
    files = row_files(corpus, base) if "pythia" in corpus else []
    if not files or any(_file_problem(file, base, TOKEN_SUFFIX) for file in files):
        return []  # as `corpus_problems` says
    needed = training_rows(config) + rows_held_out(corpus)
    try:
        ordered = part_order_of(corpus["pythia"]["path"], files)
        sizes = [os.path.getsize(base / file) for file in ordered]
        rows = check_sizes(ordered, sizes, (corpus["seq_len"] + 1) * ITEM_BYTES)
        if rows < needed:
            raise past_the_end(corpus["pythia"]["path"], range(needed), rows)
    except HeadwaterError as error:
        return [Problem(("corpus", "pythia", "path"), str(error))]
    return []


def source_problems(
    shards: Sequence[str], base: Path, key: Key = SHARDS
) -> list[Problem]:
    """What is wrong with the entries of a list of text files."""
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for place, file in _entries(shards, base, key, SOURCE_SUFFIX):
        text = _file_problem(file, base, SOURCE_SUFFIX)
        if not text and not SOURCE_NAME.fullmatch(source_name(file)):
            text = 'use only letters, digits, ".", "_" and "-" in its name'
        if not text and source_name(file) in first:
            text = _second_problem(first[source_name(file)], file, base)
        if text:
            problems.append(Problem(place, f'"{file}": {text}'))
        else:
            first[source_name(file)] = file
    return problems


def _place_problems(
    entries: Sequence[str], base: Path, key: Key, suffix: str
) -> Iterator[Problem]:
    for _, file in _entries(entries, base, key, suffix):
        # On the hub a folder may stand for its files; it is listed when fetched.
        text = _file_problem(file, base, "" if file.startswith("hf://") else suffix)
        if text:
            yield Problem(key, f'"{file}": {text}')


def _entries(
    entries: Sequence[str], base: Path, key: Key, suffix: str
) -> Iterator[tuple[Key, str]]:
    # An empty folder stands for itself, for its problem to be found.
    for number, entry in enumerate(entries):
        names = [] if is_remote(entry) else _names_in(base / entry, suffix)
        for file in [str(Path(entry) / name) for name in names] or [entry]:
            yield (*key, number), file if is_remote(file) else str(Path(file))


def _names_in(path: Path, suffix: str) -> list[str]:
    if not os.path.isdir(path) or not os.access(path, os.R_OK):
        return []
    names = [name for name in os.listdir(path) if name.endswith(suffix)]
    return sorted(name for name in names if not name.startswith("."))


def _file_problem(file: str, base: Path, suffix: str) -> str | None:
    if is_remote(file):
        wrong = remote_problem(file)
        if wrong or base_name(file).endswith(suffix):
            return wrong
        return f"expected the address of a file that ends in {suffix}"
    path = base / file
    if not os.path.lexists(path):
        hint = "; a data set of the hub is hf://datasets/<owner>/<name>"
        return "no such file or folder" + (hint if suffix != SOURCE_SUFFIX else "")
    if not os.access(path, os.R_OK):
        return "cannot be read; check its permissions, or where it links to"
    if path.is_dir():
        return f"no *{suffix} files in this folder"
    if not file.endswith(suffix):
        return f"expected a file that ends in {suffix}"
    return None


def _second_problem(first: str, second: str, base: Path) -> str:
    if is_remote(first) or is_remote(second):
        same = first == second
    else:
        same = os.path.samefile(base / first, base / second)
    if same:
        return "listed twice; remove one"
    return f'has the same name as "{first}"; rename one'
