"""HDF5 files with an identity: small, structured results."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from headwater.errors import HeadwaterError, again
from headwater.identity import Config, check_identity
from headwater.publish import publish_file


@contextmanager
def publish_hdf5(
    path: Path, identity: dict[str, Any], **attributes: Any
) -> Iterator[h5py.File]:
    """Yield a new HDF5 file, published under `path` when the block ends well."""
    with publish_file(path) as part, h5py.File(part, "w") as file:
        file.attrs["identity"] = json.dumps(identity, sort_keys=True)
        for name, value in attributes.items():
            file.attrs[name] = value
        yield file


@contextmanager
def open_file(path: Path, config: Config) -> Iterator[h5py.File]:
    """Open a published HDF5 file for reading, checked against the config.

    Raises:
        HeadwaterError: not readable, or made under another config.
    """
    try:
        file = h5py.File(path, "r")
        identity = json.loads(file.attrs["identity"])
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())  # HDF5's can have a line break
        raise HeadwaterError(
            f"{path}: not a readable Headwater file ({reason}); {again(path)}"
        ) from error
    with file:
        check_identity(identity, config, path)
        yield file
