"""Local files that a config names: whether they are there, and fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.corpus.sources import find, source_of
from headwater.corpus.tokenfolder import folder_problem
from headwater.problems import Problem


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
    """What is wrong with a tokenizer's local folder. The hub is not asked here."""
    tokenizer = config["corpus"]["tokenizer"]
    wrong = folder_problem(tokenizer["name"], base) if "name" in tokenizer else None
    return [Problem(("corpus", "tokenizer", "name"), wrong)] if wrong else []


def probe_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Files of dataset probes that are not there."""
    return [
        Problem(("targets", name, "data"), f"{target['data']}: no such file")
        for name, target in config["targets"].items()
        if "data" in target and not (base / target["data"]).is_file()
    ]
