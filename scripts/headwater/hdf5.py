"""HDF5 files with an identity: small, structured results."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from headwater.errors import again
from headwater.identity import Config, check_identity
from headwater.locks import NO_FLOCK
from headwater.publish import is_disk_error, publish_file
from headwater.unreadable import unreadable


@contextmanager
def publish_hdf5(
    path: Path, identity: dict[str, Any], **attributes: Any
) -> Iterator[h5py.File]:
    """Yield a new HDF5 file, published under `path` when the block ends well."""
    # No lock of HDF5's: not every file system has one, and the part is ours alone.
    with (
        publish_file(path) as part,
        _told_once(),
        h5py.File(part, "w", locking=False) as file,
    ):
        file.attrs["identity"] = json.dumps(identity, sort_keys=True)
        for name, value in attributes.items():
            file.attrs[name] = value
        yield file


@contextmanager
def _told_once() -> Iterator[None]:
    # On a full disk h5py prints a traceback for each object that it cannot close.
    hooks = sys.excepthook, sys.unraisablehook
    sys.excepthook = lambda *_: None
    sys.unraisablehook = lambda _: None
    try:
        yield
    except Exception as error:
        if not is_disk_error(error):
            sys.excepthook, sys.unraisablehook = hooks
        raise
    sys.excepthook, sys.unraisablehook = hooks


@contextmanager
def open_file(path: Path, config: Config) -> Iterator[h5py.File]:
    """Open a published HDF5 file for reading, checked against the config.

    Raises:
        HeadwaterError: not readable, or made under another config.
    """
    try:
        file = _open(path)
        identity = json.loads(file.attrs["identity"])
    except (OSError, KeyError, ValueError) as error:
        raise unreadable(path, error, again(path)) from error
    with file:
        check_identity(identity, config, path)
        yield file


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
        return h5py.File(path, "r", locking=False)
