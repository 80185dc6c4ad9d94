"""Who writes an output: one live process at a time.

The lock of `<output>` is `.<output>.lock` beside it, held by flock: a killed process
leaves none behind. A file system without flock (Lustre mounted without it, NFS without
its lock service, some in user space) has `.<output>.owner` in its place, a lock while
it is there: what a killed process leaves is taken over on the same machine only.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headwater.errors import HeadwaterError
from headwater.logs import logger

NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_NO_FLOCK = (
    "%s: this file system has no flock (%s); files called .*.owner are the locks here, "
    "see docs/cluster-admins.md"
)
_TAKING_OVER = 0.5  # seconds that the lock of a killed process may need to go


@contextmanager
def exclusive(target: Path, warn: bool = False) -> Iterator[None]:
    """Be the only live process that writes `target`, as long as the block lasts.

    Args:
        warn: say so if the file system has no flock.

    Raises:
        HeadwaterError: another process is; it is named.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path = _lock_of(target)
    try:
        handle = _locked_handle(path, target)
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
        path.unlink(missing_ok=True)
        if warn:
            logger.warning(_NO_FLOCK, target.parent, error.strerror)
        with _existence_lock(target):
            yield
        return
    with handle:
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
        with _lock_of(target).open(encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return _owner_of(target).exists() and _is_owned(target)
    return False


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _owner_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.owner")


def _locked_handle(path: Path, target: Path) -> TextIO:
    while True:
        handle = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise _held(target, handle.read().strip() or "owner unknown") from None
        except OSError:
            handle.close()
            raise
        # The owner before us may have unlinked the file we opened: lock what is there.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()


@contextmanager
def _existence_lock(target: Path) -> Iterator[None]:
    from filelock import SoftFileLock, Timeout  # for such file systems only

    path = _owner_of(target)
    lock = SoftFileLock(path, poll_interval=_TAKING_OVER / 10)
    try:
        lock.acquire(timeout=_TAKING_OVER)
    except Timeout:
        pid, host = (*_words(path), "unknown", "unknown")[:2]
        host = host.split("?")[0]  # what follows is filelock's, on containers
        found = f"pid {pid} on {host}; if it is gone from there, remove {path}"
        raise _held(target, found) from None
    try:
        yield
    finally:
        lock.release()


def _is_owned(target: Path) -> bool:
    try:
        with _existence_lock(target):
            return False
    except HeadwaterError:
        return True


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []  # its owner has let go of it in this moment


def _held(target: Path, owner: str) -> HeadwaterError:
    return HeadwaterError(
        f"{target}: another process is writing it ({owner}); "
        "wait for it to end or stop it, then run again"
    )
