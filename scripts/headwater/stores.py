"""Zarr v3 stores: created with an identity, opened with a check.

Layout of every store: a group whose attributes hold `headwater` (the identity, see
`stages`) and whatever else describes it; arrays are opened by name, never listed, since
Snakemake leaves a timestamp file inside folders it tracks. Every chunk is written, also
one of zeros, with a checksum: one that is not there, or not as it was, is never read.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from headwater.errors import HeadwaterError, again
from headwater.identity import Config, check_identity

ATTRIBUTE = "headwater"
Mode = Literal["r", "r+"]

COMPRESSED = (ZstdCodec(), Crc32cCodec())  # of chunks, for `create_array`
RAW = (Crc32cCodec(),)


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
        reason = " ".join(str(error).split())
        raise HeadwaterError(
            f"{path}: not a readable store ({reason}); {again(path)}"
        ) from error
    if ATTRIBUTE not in group.attrs:
        raise HeadwaterError(f"{path}: not a Headwater store; {again(path)}")
    stamp = dict(group.attrs[ATTRIBUTE])  # type: ignore[arg-type]
    check_identity(stamp, config, path)
    return group


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None = None,
    compress: bool = True,
) -> zarr.Array:
    """A new array of a store, of which all chunks will be written, with checksums."""
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        compressors=COMPRESSED if compress else RAW,
        config={"write_empty_chunks": True},
    )


def write_array(
    group: zarr.Group, name: str, values: np.ndarray, chunk_rows: int = 1 << 20
) -> zarr.Array:
    """Write a whole array, chunked along its first axis; mostly it is one file."""
    chunks = max(1, min(chunk_rows, len(values))), *values.shape[1:]
    array = create_array(group, name, values.shape, values.dtype, chunks)
    array[...] = values
    return array


def array(group: zarr.Group, name: str) -> zarr.Array:
    """An array of a finished store by name, not yet read.

    Raises:
        HeadwaterError: the store has no such array, or not all of it.
    """
    path = store_of(group)
    try:
        member = group.get(name)
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise HeadwaterError(
            f"{path}: array {name!r} is not readable ({reason}); {again(path)}"
        ) from error
    if not isinstance(member, zarr.Array):
        raise HeadwaterError(f"{path}: no array {name!r}; {again(path)}")
    if member.nchunks_initialized < member.nchunks:
        raise HeadwaterError(f"{path}: chunks of {name!r} are missing; {again(path)}")
    return member


def read(group: zarr.Group, name: str, rows: slice = slice(None)) -> np.ndarray:
    """Rows of an array of a store, in memory."""
    return values(array(group, name), rows)


def values(array: zarr.Array, selection: Any) -> np.ndarray:
    """What an array holds there, in memory.

    Raises:
        HeadwaterError: a chunk is not as it was written.
    """
    try:
        return np.asarray(array[selection])
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise HeadwaterError(
            f"{store_of(array)}: a chunk of {array.basename!r} is damaged ({reason}); "
            f"{again(store_of(array))}"
        ) from error


def store_of(member: zarr.Array | zarr.Group) -> Path:
    """The folder of the store that an array or group belongs to."""
    path = Path(str(member.store_path).removeprefix("file://"))
    return next((p for p in (path, *path.parents) if p.suffix == ".zarr"), path)
