"""Local files that a config names: whether they are there, and fit.

The hub is not asked here.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import CONFIG, folder_problem, source_names
from headwater.checkpoints.shape import shape_problem
from headwater.corpus.files import TOKENIZER_FILES, tokenizer_problem
from headwater.corpus.sources import find, source_of
from headwater.problems import Key, Problem, show
from headwater.strictjson import read_object
from headwater.unreadable import stand_in, why


def locale_problems(value: Any, key: Key = ()) -> Iterator[Problem]:
    """Texts that can be no file's name, as the locale's encoding lacks a character."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for name, entry in entries:
        yield from locale_problems(entry, (*key, name))
    if isinstance(value, str):
        try:
            os.fsencode(value)
        except UnicodeEncodeError as error:
            text = (
                f"{show(value)} cannot be a file's name here ({error.encoding}); set "
                "PYTHONUTF8=1 in the environment"
            )
            yield Problem(key, text)


def corpus_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with the files and addresses of the corpus."""
    corpus = config["corpus"]
    return source_of(corpus).problems(corpus, ("corpus",), base)


def held_out_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with text that is held out."""
    held_out = config["corpus"]["held_out"]
    source = find(held_out)
    return source.problems(held_out, ("corpus", "held_out"), base) if source else []


def row_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Where the source's rows cannot be those of the experiment."""
    return source_of(config["corpus"]).row_problems(config, base)


def tokenizer_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a tokenizer's local folder."""
    tokenizer = config["corpus"]["tokenizer"]
    wrong = tokenizer_problem(tokenizer["name"], base) if "name" in tokenizer else None
    return [Problem(("corpus", "tokenizer", "name"), wrong)] if wrong else []


def probe_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Files of dataset probes that are not there, or are none."""
    return [
        Problem(("targets", name, "data"), f"{target['data']}: {wrong}")
        for name, target in config["targets"].items()
        if "data" in target and (wrong := stand_in(base / target["data"]))
    ]


def revision_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """What is wrong with a local folder of revisions."""
    # The first will do: the others mostly have the same cause.
    for name, folder in _folders(config["checkpoints"], base):
        if wrong := folder_problem(folder, name):
            return [_folder_problem(config["checkpoints"]["folder"], wrong)]
    return []


def shape_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Where a local model is of another shape than the config says: the first place."""
    for name, folder in _folders(config["checkpoints"], base):
        path = folder / name / CONFIG
        if not os.path.isfile(path):
            continue  # as `revision_problems` says
        try:
            wrong = shape_problem(read_object(path), config)
        except (OSError, ValueError) as error:
            wrong = why(path, error)
        if wrong:
            place = Path(config["checkpoints"]["folder"]) / name / CONFIG
            return [_folder_problem(place, wrong)]
    return []


def _folder_problem(place: str | Path, text: str) -> Problem:
    return Problem(("checkpoints", "folder"), f'"{place}": {text}')


def _folders(checkpoints: Mapping[str, Any], base: Path) -> Iterator[tuple[str, Path]]:
    if "folder" in checkpoints:
        for name in source_names(checkpoints).values():
            yield name, base / checkpoints["folder"]


def with_checkpoint(
    tokenizer: Mapping[str, Any], checkpoints: Mapping[str, Any], base: Path
) -> dict[str, Any]:
    """A tokenizer's settings, with the one beside a local checkpoint for the hub's.

    Published revisions hold their tokenizer. Who has them on disk needs no network for
    it, and names one path less. A local folder in `corpus.tokenizer` is kept.
    """
    settings = dict(tokenizer)
    if "folder" not in checkpoints or os.path.isdir(base / settings["name"]):
        return settings
    first = next(iter(source_names(checkpoints).values()))
    folder = Path(checkpoints["folder"]) / first
    if all(os.path.isfile(base / folder / file) for file in TOKENIZER_FILES):
        settings["name"] = str(folder)
    return settings
