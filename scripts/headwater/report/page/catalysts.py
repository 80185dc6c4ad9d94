"""Section `catalysts`: what the top rows have in common, of a run that asked for it.

Read from `catalysts/<target>.json` and `.motifs.json`, of each target that has them.
Their text (features, skeletons, examples) is text of the corpus: the template escapes
it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.catalysts.motiffile import check_motifs
from headwater.errors import HeadwaterError
from headwater.strictjson import read_object

VIEWS = {"all": "top_10", "domain and loss": "top_10"}  # by view, the band that counts
BOTTOM = ("all", "bottom_10")
MOST_MOTIFS = 12
EXAMPLE = 240  # characters of one
PAIRS = tuple(VIEWS.items())


@dataclass(frozen=True)
class Catalysts:
    """What is known of the rows of one target; either part may be missing.

    Attributes:
        about: `catalysts/<target>.json`.
        motifs: `catalysts/<target>.motifs.json`.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    motifs: Mapping[str, Any] = field(default_factory=dict)


def read_catalysts(
    abouts: Iterable[str], motifs: Iterable[str]
) -> dict[str, Catalysts]:
    """By target, those of the run's targets that have any.

    Args:
        abouts: files of `catalysts/<target>.json`.
        motifs: files of `catalysts/<target>.motifs.json`.

    Raises:
        HeadwaterError: a file cannot be read, or is no motif file.
    """
    first = {_target(path): _read(path) for path in abouts}
    second = {_target(path): _read(path) for path in motifs}
    for name, value in second.items():
        check_motifs(value, f"catalysts/{name}.motifs.json")
    return {
        name: Catalysts(first.get(name, {}), second.get(name, {}))
        for name in [*first, *(name for name in second if name not in first)]
    }


def _target(path: str) -> str:
    return Path(path).name.partition(".")[0]


def _read(path: str) -> dict[str, Any]:
    try:
        return read_object(Path(path))
    except (OSError, ValueError) as error:
        text = "make it again with `snakemake catalysts motifs`"
        raise HeadwaterError(f"{path}: not readable ({error}); {text}") from error


def catalysts(found: Mapping[str, Catalysts], name: str) -> dict[str, Any] | None:
    """What the section says of one target; None where nothing is known of it."""
    if name not in found:
        return None
    about, motifs = found[name].about, found[name].motifs
    return {
        "documents": about.get("documents"),
        "held": list(_held(about)),
        "lines": list(_lines(about)),
        "r2": about.get("regression", {}).get("r2"),
        "groups": about.get("regression", {}).get("groups", []),
        "motifs": [_motif(entry) for entry in motifs.get("motifs", [])[:MOST_MOTIFS]],
        "more": max(0, len(motifs.get("motifs", [])) - MOST_MOTIFS),
        "mined": "motifs" in motifs,
    }


def _held(about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What share of positive and of negative influence the largest rows hold."""
    for sign, side in about.get("lorenz", {}).items():
        for held in side["held"]:
            yield {"sign": sign, **held}


def _lines(about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Domains and features: the ratio of every view, and that of the bottom rows."""
    by_name: dict[tuple[str, str], dict[tuple[str, str], Any]] = {}
    for line in about.get("enrichment", []):
        own = by_name.setdefault((line["kind"], line["name"]), {})
        own[line["view"], line["band"]] = line
    words = about.get("features", {})
    for (kind, name), views in by_name.items():
        cells = [views.get(pair) for pair in (*PAIRS, BOTTOM)]
        if any(cells):
            told = words.get(name, {}).get("words", "") if kind != "domain" else ""
            yield {"kind": kind, "name": name, "words": told, "cells": cells}


def _motif(entry: Mapping[str, Any]) -> dict[str, Any]:
    evidence = entry.get("evidence", {})
    return {
        "name": entry["name"],
        "skeleton": entry.get("skeleton", ""),
        "domain": entry.get("domain", ""),
        "mass": evidence.get("mass"),
        "top_rows": evidence.get("top_rows"),
        "random_rows": evidence.get("random_rows"),
        "example": _example(entry.get("examples", [])),
    }


def _example(examples: Any) -> str:
    """The text of the first example, cut."""
    first = examples[0] if examples else {}
    text = str(first.get("text", "")) if isinstance(first, Mapping) else str(first)
    return text if len(text) <= EXAMPLE else f"{text[:EXAMPLE]}…"
