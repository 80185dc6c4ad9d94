"""Zarr v3 stores: created with an identity, opened with a check.

Layout of every store: a group whose attributes hold `headwater` (the identity, see
`stages`) and whatever else describes it; arrays are opened by name, never listed, since
Snakemake leaves a timestamp file inside folders it tracks.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from headwater.errors import HeadwaterError
from headwater.identity import Config, check_identity

ATTRIBUTE = "headwater"
Mode = Literal["r", "r+"]


def create_group(path: Path, identity: dict[str, Any], **attributes: Any) -> zarr.Group:
    """A new, empty group at `path` with its identity and further attributes."""
    group = zarr.create_group(path, overwrite=True, zarr_format=3)
    group.attrs.update({ATTRIBUTE: identity, **attributes})
    return group


def open_group(path: Path, config: Config, mode: Mode = "r") -> zarr.Group:
    """Open a published store after checking it against `config`.

    Raises:
        HeadwaterError: missing, not a Headwater store, or made under another config.
    """
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise HeadwaterError(
            f"{path}: not a readable store ({error}); delete it and run again"
        ) from error
    if ATTRIBUTE not in group.attrs:
        raise HeadwaterError(f"{path}: not a Headwater store; delete it and run again")
    stamp = dict(group.attrs[ATTRIBUTE])  # type: ignore[arg-type]
    check_identity(stamp, config, path)
    return group


def write_array(
    group: zarr.Group,
    name: str,
    values: np.ndarray,
    chunk_rows: int = 1 << 20,
    compress: bool = True,
) -> zarr.Array:
    """Write a whole array, chunked along its first axis; mostly it is one file."""
    rows = max(1, min(chunk_rows, len(values)))
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(rows, *values.shape[1:]),
        compressors="auto" if compress else None,
    )
    array[...] = values
    return array


def array(group: zarr.Group, name: str) -> zarr.Array:
    """An array of a store by name, not yet read.

    Raises:
        HeadwaterError: the store has no such array.
    """
    member = group.get(name)
    if not isinstance(member, zarr.Array):
        raise HeadwaterError(
            f"{group.store_path}: no array {name!r}; delete it and run again"
        )
    return member


def read(group: zarr.Group, name: str, rows: slice = slice(None)) -> np.ndarray:
    """Rows of an array of a store, in memory."""
    return np.asarray(array(group, name)[rows])
