"""Outputs that are whole or absent.

A job writes into `<output>.part`, an undeclared sibling that Snakemake does not know
and so never deletes. When the work is done the sibling is renamed to the output.

    <output>  <output>.part   meaning
    --------  --------------  ------------------------------------------------
    absent    absent          not begun
    absent    present         begun; the next run may resume from it
    present   absent          finished

Beside the part stands `<output>.part.json`: the identity it was begun with.

A lock file beside the part is held (flock) as long as the writing process lives, so a
second writer is refused, and a killed writer leaves no lock behind.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from headwater.errors import HeadwaterError

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
    text = json.dumps(identity, sort_keys=True)
    return part.exists() and known.exists() and known.read_text() == text


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

    Raises:
        HeadwaterError: no space left.
    """
    temporary = part_of(target)
    # Snakemake's time stamp must stay the source's own: linked, it would be touched
    # with the target and make the source look newer than what was made from it.
    ignore = shutil.ignore_patterns(".snakemake_timestamp")
    with _one_line_disk_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary, copy_function=os.link, ignore=ignore)
        fsync_tree(temporary)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
        fsync_path(target.parent)


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
        known.write_text(text)


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Be the only live process that writes `target`, as long as the block lasts.

    Raises:
        HeadwaterError: another process is; it is named.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = _lock_of(target)
    with _locked_handle(path, target) as handle:
        handle.truncate(0)
        handle.write(f"pid {os.getpid()} on {os.uname().nodename}")
        handle.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_written(target: Path) -> bool:
    """Whether a live process holds `exclusive` for `target`."""
    try:
        with _lock_of(target).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _locked_handle(path: Path, target: Path) -> TextIO:
    while True:
        handle = path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "owner unknown"
            raise HeadwaterError(
                f"{target}: another process is writing it ({owner}); "
                "wait for it to end or stop it, then run again"
            ) from None
        # The owner before us may have unlinked the file we opened: lock what is there.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()


DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextmanager
def _one_line_disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, HeadwaterError) or not _is_disk_error(error):
            raise
        reason = " ".join(str(error).split())  # HDF5's has a line break
        raise HeadwaterError(
            f"{target}: cannot write ({reason}); nothing was published. "
            "Free space or fix the folder, then run the same command again"
        ) from error


def _is_disk_error(error: Exception) -> bool:
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
    """Flush one file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
