"""Outputs that are whole or absent.

A job writes into `<output>.part`, an undeclared sibling that Snakemake does not know
and so never deletes. When the work is done the sibling is renamed to the output.

    <output>  <output>.part   meaning
    --------  --------------  ------------------------------------------------
    absent    absent          not begun
    absent    present         begun; the next run may resume from it
    present   absent          finished

Beside the part stands `<output>.part.json`: the identity it was begun with.

A lock (`locks`) is held as long as the writing process lives, so a second writer is
refused.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError
from headwater.locks import exclusive

Identity = dict[str, Any]
PART, IDENTITY = ".part", ".part.json"  # of the siblings of an output


@contextmanager
def publish_folder(target: Path, identity: Identity) -> Iterator[Path]:
    """Yield the folder `<target>.part` to write into; rename it to `target` at the end.

    A part left by a killed run is kept, for the caller to resume from, only if it was
    begun with the same `identity`; otherwise it is discarded.

    Args:
        target: the final folder (a Zarr store, a set of checkpoints).
        identity: JSON-able; what the content depends on (settings, row range, ...).

    Raises:
        HeadwaterError: another live process writes the same output, or no space left.
    """
    with work_folder(target, identity) as part:
        yield part
        publish_work(target)


def publish_work(target: Path) -> None:
    """Publish a finished `work_folder`; the caller holds it."""
    part = part_of(target)
    fsync_tree(part)
    if target.exists():
        shutil.rmtree(target)
    os.replace(part, target)
    fsync_path(target.parent)
    _identity_file(target).unlink()


def is_begun(target: Path, identity: Identity) -> bool:
    """Whether there is a part of this output that was begun with this identity."""
    part, known = part_of(target), _identity_file(target)
    if not (part.exists() and known.exists()):
        return False
    return known.read_text(encoding="utf-8") == json.dumps(identity, sort_keys=True)


@contextmanager
def work_folder(target: Path, identity: Identity) -> Iterator[Path]:
    """Like `publish_folder`, but what happens to the part is left to the caller."""
    part = part_of(target)
    with _one_line_disk_errors(target), exclusive(target):
        _open_part(target, identity)
        yield part


def discard_work(target: Path) -> None:
    """Remove the part of a finished `work_folder`."""
    _identity_file(target).unlink()  # first: a part half removed is never resumed
    shutil.rmtree(part_of(target))


def publish_links(source: Path, target: Path) -> None:
    """Publish a finished folder under another name, by hard links (no bytes copied).

    Where the file system has none, or none between these folders, bytes are copied.

    Raises:
        HeadwaterError: no space left.
    """
    temporary = part_of(target)
    with _one_line_disk_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)
        _link_tree(source, temporary)
        fsync_tree(temporary)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
        fsync_path(target.parent)


def _link_tree(source: Path, target: Path) -> None:
    for root, _, names in os.walk(source):
        folder = target / Path(root).relative_to(source)
        folder.mkdir()
        for name in names:
            # Snakemake's time stamp must stay the source's own: linked, it would be
            # touched with the target and make the source look newer than what was made
            # from it.
            if name != ".snakemake_timestamp":
                _link(Path(root) / name, folder / name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise
        shutil.copyfile(source, target)  # whose own error tells more, if it fails, too


@contextmanager
def publish_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` at the end.

    Raises:
        HeadwaterError: another live process writes the same output, or no space left.
    """
    part = part_of(target)
    with _one_line_disk_errors(target), exclusive(target):
        part.unlink(missing_ok=True)
        yield part
        fsync_path(part)
        os.replace(part, target)
        fsync_path(target.parent)


def part_of(target: Path) -> Path:
    """The unpublished sibling of an output."""
    return target.with_name(target.name + PART)


def is_sibling(path: Path) -> bool:
    """Whether this is a part, its identity or a lock: beside an output, none itself."""
    return path.name.startswith(".") or path.name.endswith((PART, IDENTITY))


def write_text(target: Path, text: str) -> None:
    """Publish a small text file whole."""
    with publish_file(target) as part:
        part.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Publish a JSON file whole, keys in the given order."""
    write_text(target, json.dumps(value, indent=2) + "\n")


def _identity_file(target: Path) -> Path:
    return target.with_name(target.name + IDENTITY)


def _open_part(target: Path, identity: Identity) -> None:
    part, known = part_of(target), _identity_file(target)
    text = json.dumps(identity, sort_keys=True)
    if part.exists() and not is_begun(target, identity):
        known.unlink(missing_ok=True)  # first, see `discard_work`
        shutil.rmtree(part)
    if not part.exists():
        part.mkdir(parents=True)
        known.write_text(text, encoding="utf-8")


DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
# How file systems refuse to flush what they cannot: any file, or a folder.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
NO_FOLDER_SYNC = NO_SYNC | {errno.EACCES, errno.EPERM, errno.EISDIR, errno.EBADF}


@contextmanager
def _one_line_disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, HeadwaterError) or not is_disk_error(error):
            raise
        reason = " ".join(str(error).split())  # HDF5's has a line break
        raise HeadwaterError(
            f"{target}: cannot write ({reason}); nothing was published. "
            "Free space or fix the folder, then run the same command again"
        ) from error


def is_disk_error(error: Exception) -> bool:
    """Whether the disk does not take what is written, whoever says so."""
    # h5py and safetensors wrap the operating system's error in their own text.
    if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
        return True
    return any(os.strerror(number) in str(error) for number in DISK_ERRNOS)


def fsync_tree(folder: Path) -> None:
    """Flush every file and folder under `folder` to disk."""
    for root, _, names in os.walk(folder):
        for name in names:
            fsync_path(Path(root) / name)
        fsync_path(Path(root))


def fsync_path(path: Path) -> None:
    """Flush one file or folder to disk, where the file system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        if path.is_dir() and error.errno in NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (NO_FOLDER_SYNC if path.is_dir() else NO_SYNC):
            raise
    finally:
        os.close(handle)
