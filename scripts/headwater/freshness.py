"""Fresh is what has the recorded content, not what has a late time.

Snakemake makes again what is older than one of its inputs, and a copy, a sync without
times or an object store give everything new times in any order. So before it looks,
results that are older than their inputs are compared with their records (`seals`), and
become younger where nothing but times has changed. Files of the user are left alone.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from headwater import seals
from headwater.digests import digest_of
from headwater.errors import HeadwaterError
from headwater.seals import Seal

TIMESTAMP = ".snakemake_timestamp"  # in a folder: its time, for Snakemake


def settle(results: Path) -> list[str]:
    """Give results whose content is as recorded a time after that of their inputs.

    Args:
        results: the folder of an experiment; it may not be there yet.

    Returns:
        Warnings: results that were made from others than those that stand there,
        without that times would tell.
    """
    known = dict(_records(results))
    try:
        inputs = {path: _made_of(path, seal) for path, seal in known.items()}
        order = list(TopologicalSorter(inputs).static_order())
    except CycleError:
        return []  # a record is damaged, and the job that reads its result says so
    run = _Run(results, known)
    return [text for path in order if path in known and (text := run.settle(path))]


class _Run:
    def __init__(self, results: Path, known: dict[Path, Seal]) -> None:
        self._benchmarks, self._known = results / "benchmarks", known
        self._intact = cache(lambda path: seals.damage(path, known[path]) is None)
        self._digest = cache(digest_of)

    def settle(self, path: Path) -> str | None:
        inputs = _made_of(path, self._known[path])
        there = {name: digest for name, digest in inputs.items() if name.exists()}
        # For Snakemake a job is as old as the oldest thing it wrote.
        own = [path, self._benchmarks / f"{self._known[path].job}.tsv"]
        oldest = min(_time(name) for name in own if name.exists())
        younger = [name for name in there if _time(name) > oldest]
        others = [n for n in there if n in self._known and not self._is(n, there[n])]
        if others and not younger:
            return seals.made_from_another(path, others[0])
        whole = len(there) == len(inputs) and not others and younger
        same = whole and all(self._holds(n, there[n]) for n in younger)
        if same and self._intact(path):
            for name in own:
                _touch(name, max(time.time(), *map(_time, younger)))
        return None

    def _is(self, path: Path, digest: str) -> bool:
        return self._known[path].content == digest

    def _holds(self, path: Path, digest: str) -> bool:
        return (
            self._intact(path) if path in self._known else self._digest(path) == digest
        )


def _records(results: Path) -> Iterator[tuple[Path, Seal]]:
    for root, folders, names in os.walk(results):
        found = {n for n in names if n.startswith(".") and n.endswith(seals.SUFFIX)}
        for record in sorted(found):
            path = seals.sealed(Path(root, record))
            if path.exists():
                try:
                    yield path, seals.read(path)
                except HeadwaterError:
                    continue  # the job that reads the result says so
        folders[:] = [n for n in folders if seals.seal_of(Path(n)).name not in found]


def _made_of(path: Path, seal: Seal) -> dict[Path, str]:
    return {
        Path(os.path.normpath(path.parent / name)): digest
        for name, digest in seal.made_of.items()
    }


def _carrier(path: Path) -> Path:
    stamp = path / TIMESTAMP
    return stamp if stamp.exists() else path


def _time(path: Path) -> float:
    return _carrier(path).stat().st_mtime


def _touch(path: Path, when: float) -> None:
    with suppress(OSError):  # someone else's: Snakemake will say what it would do
        os.utime(_carrier(path), (when, when))
