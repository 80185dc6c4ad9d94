"""Records of content: what each result holds, and what it was made from.

Beside a result `name` stands `.name.seal`, JSON, written when its job has ended well:

    content   digest of all it holds
    files     of a folder: size and digest of every file, by its path in the folder
    made_of   digest of every input of the job, by its path from the result's folder
    job       of the job its log, without folder of the experiment and suffix
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from headwater.digests import Entry, content_of, digest_of
from headwater.errors import HeadwaterError, again
from headwater.publish import write_text
from headwater.unreadable import unreadable

SUFFIX = ".seal"
_PATIENCE = (2, 10, 30)  # seconds until another node's record is seen, see `check`


@dataclass(frozen=True)
class Seal:
    """What a result holds and what it was made from; see the module."""

    content: str
    files: dict[str, Entry] | None
    made_of: dict[str, str]
    job: str


def seal_of(path: Path) -> Path:
    """Where the record of a result stands."""
    return path.with_name(f".{path.name}{SUFFIX}")


def sealed(record: Path) -> Path:
    """The result that a record is of."""
    return record.with_name(record.name.removeprefix(".").removesuffix(SUFFIX))


def write(path: Path, made_of: Mapping[str, str], job: str) -> None:
    """Record what a published result holds, and what it was made from.

    Args:
        made_of: digest of every input, by its path as a job names it.
        job: as in `Seal`.
    """
    content, files = content_of(path)
    inputs = {_from(path.parent, name): digest for name, digest in made_of.items()}
    seal = asdict(Seal(content, files, inputs, job))
    write_text(seal_of(path), json.dumps(seal, indent=1) + "\n")


def read(path: Path) -> Seal:
    """The record of a result.

    Raises:
        HeadwaterError: there is none, or it is damaged itself.
    """
    record = seal_of(path)
    try:
        found = Seal(**json.loads(record.read_text(encoding="utf-8")))
        files = found.files and {k: (n, d) for k, (n, d) in found.files.items()}
        return Seal(str(found.content), files, dict(found.made_of), str(found.job))
    except FileNotFoundError:
        reason = f"no record of its content stands beside it ({record.name})"
    except (OSError, ValueError, TypeError, AttributeError):
        reason = f"the record of its content ({record.name}) is damaged"
    raise HeadwaterError(f"{path}: {reason}; {again(path)}")


def check(path: Path) -> str:
    """The recorded digest of a result, which holds what was recorded.

    On a cluster the other node's files may be seen some seconds late.

    Raises:
        HeadwaterError: names the file that was removed, cut, added or changed; or what
            the result was made from, where that is another one now.
    """
    for wait in _PATIENCE if "SLURM_JOB_ID" in os.environ else ():
        try:
            return _check(path)
        except HeadwaterError:
            time.sleep(wait)
    return _check(path)


def _check(path: Path) -> str:
    seal = read(path)
    reason = damage(path, seal)
    if reason:
        raise HeadwaterError(f"{path}: {reason}; {again(path)}")
    for name, digest in seal.made_of.items():
        made_from = path.parent / name
        known = seal_of(made_from).exists() and made_from.exists()
        if known and read(made_from).content != digest:
            raise HeadwaterError(made_from_another(path, os.path.relpath(made_from)))
    return seal.content


def is_made_of(path: Path, made_from: Path) -> bool:
    """Whether a result was made from what stands there, by the records of both."""
    try:
        known, wanted = read(path).made_of, read(made_from).content
    except HeadwaterError:
        return False
    return known.get(os.path.relpath(made_from, path.parent)) == wanted


def made_from_another(path: Path, made_from: object) -> str:
    """What to say of a result that an input was replaced under."""
    return (
        f"{path}: made from another {made_from} than the one that stands there; "
        f"{again(path)}"
    )


def damage(path: Path, seal: Seal) -> str | None:
    """How a result differs from its record, if it does."""
    if not path.exists():
        return "not there"
    content, files = content_of(path)
    if content == seal.content:
        return None
    if files is None or seal.files is None:
        return "not as it was written: damaged, edited or replaced"
    # Metadata first: without it the chunks' own checksums are not found either.
    names = {*files, *seal.files}
    for name in sorted(names, key=lambda name: (not name.endswith(".json"), name)):
        found, wanted = files.get(name), seal.files.get(name)
        if wanted is None:
            return f"{name} does not belong there"
        if found is None:
            return f"{name} is missing"
        if found[0] != wanted[0]:
            return f"{name} has {found[0]} bytes, {wanted[0]} were written"
        if found != wanted:
            return f"{name} is not as it was written: damaged, edited or replaced"
    return "not as it was written"


def inputs(paths: Iterable[str], results: Path) -> dict[str, str]:
    """Digest of every input of a job, by its path; results are checked.

    Args:
        results: the experiment's folder; what lies outside is the user's own.

    Raises:
        HeadwaterError: a result is not what was written, see `check`.
    """
    found = {}
    for path in map(Path, sorted(set(paths))):
        ours = path.is_relative_to(results)
        try:
            found[str(path)] = check(path) if ours else digest_of(path)
        except OSError as error:
            raise unreadable(path, error) from error
    return found


def _from(folder: Path, path: str) -> str:
    return path if os.path.isabs(path) else os.path.relpath(path, folder)
