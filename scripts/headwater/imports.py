"""Which files of this library a script runs: its imports, followed to the end.

Rules have a digest of these files as a parameter, and Snakemake compares parameters: so
an edit reruns just the stages that it concerns, and a mere touch nothing. As inputs the
files would do the same, but thirty more for every job make a large workflow slow.
"""

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from headwater import members

ROOT = Path(__file__).resolve().parent.parent  # scripts/
PACKAGE = "headwater"

_LOGGING = (
    "job",
    "logs",
    "locks",
    "unreadable",
    "preemption",
    "progress",
    "slurm",
    "errors",
    "problems",
    "suggestions",
    "config",
    "seals",
    "digests",
)
_LAUNCHING = ("training_jobs.driver", "training.spec")
# Rules that fetch have no digest at all.
_FETCHING = (
    "net.failures",
    "net.fetching",
    "net.hub",
    "net.remote",
    "corpus.streaming",
)

# They log, check and report; no byte of a result depends on them.
PLUMBING = {f"{PACKAGE}.{name}" for name in (*_LOGGING, *_LAUNCHING, *_FETCHING)}
_BY_NAME = f"{PACKAGE}.members"  # a package that imports it loads all its modules


def script_modules(script: str, without: tuple[str, ...] = ()) -> list[str]:
    """Library files that `scripts/<script>.py` imports, and the script itself.

    Args:
        without: modules that it can load and does not use.

    Returns:
        Sorted paths relative to the working directory.
    """
    start = ROOT / f"{script}.py"
    names = _closure(tuple(_imported(start)), without)
    files = {start, *(_file(name) for name in names)}
    return sorted(os.path.relpath(path) for path in files)


def script_digest(script: str, without: tuple[str, ...] = ()) -> str:
    """Of the names and the content of `script_modules`, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in script_modules(script, without):
        digest.update(f"{os.path.relpath(path, ROOT)}\0".encode())
        digest.update(_content(os.path.abspath(path)))
    return digest.hexdigest()[:16]


@cache
def _content(path: str) -> bytes:
    text = Path(path).read_bytes()
    return hashlib.sha256(text).digest()


@cache
def _closure(names: tuple[str, ...], without: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    skipped = {*PLUMBING, *without}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in skipped:
            found.add(name)
            waiting.extend(_imported_by(name))
    return frozenset(found)


@cache
def _imported_by(name: str) -> tuple[str, ...]:
    path = _file(name)
    found = tuple(_imported(path))
    if _BY_NAME in found and path.name == "__init__.py":
        found += tuple(f"{name}.{member}" for member in members.names(str(path)))
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            candidates = [f"{node.module}.{alias.name}" for alias in node.names]
            candidates.append(node.module)
        else:
            continue
        for name in candidates:
            if name.startswith(f"{PACKAGE}.") and _file(name).is_file():
                yield name


@cache
def _file(name: str) -> Path:
    """A module's file; where neither form is there, the name is no module's."""
    base = ROOT.joinpath(*name.split("."))
    module = base.with_suffix(".py")
    return module if module.is_file() else base / "__init__.py"
