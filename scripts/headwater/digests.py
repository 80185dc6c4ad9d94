"""Digests of what files and folders hold.

XXH3-128: they tell damage and edits, and guard against no attacker. A file of a Zarr
array is known by the checksums of its chunks, which zarr checks as it reads them: so a
store of terabytes is not read twice. Hidden files are no content.
"""

import json
import os
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import xxhash

Entry = tuple[int, str]  # size in bytes, digest

SAMPLED_BYTES = 1 << 28  # of larger files of other people, samples are compared
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 20
_BLOCK = 1 << 22
_CHECKSUM = 4  # bytes of a CRC-32C, at the end of an encoded chunk and of an index


class _Chunks(NamedTuple):
    """What a file of an array holds; see the Zarr v3 specification."""

    number: int
    sharded: bool  # with an index at the end: offset and length of every chunk


def content_of(path: Path) -> tuple[str, dict[str, Entry] | None]:
    """Digest of a file or folder; and of a folder's files, by path in the folder."""
    if not path.is_dir():
        return _whole(path), None
    files = dict(_entries(path))
    text = json.dumps(files, sort_keys=True)
    return xxhash.xxh3_128_hexdigest(text.encode()), files


def digest_of(path: Path) -> str:
    """Digest of a file or folder that is not ours: of large files, of samples."""
    if not path.is_file() or path.stat().st_size <= SAMPLED_BYTES:
        return content_of(path)[0]
    size = path.stat().st_size
    digest = xxhash.xxh3_128(str(size).encode())
    with path.open("rb") as file:
        for sample in range(_SAMPLES):
            file.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _entries(folder: Path) -> Iterator[tuple[str, Entry]]:
    arrays: dict[Path, _Chunks | None] = {}  # by the folder of an array's files
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(root)
        if "zarr.json" in names:
            arrays[here / "c"] = _chunks(here / "zarr.json")
        chunks = next((arrays[p] for p in (here, *here.parents) if p in arrays), None)
        for name in sorted(name for name in names if not name.startswith(".")):
            path = here / name
            digest = _of_chunks(path, chunks) if chunks else _whole(path)
            yield path.relative_to(folder).as_posix(), (path.stat().st_size, digest)


def _whole(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _of_chunks(path: Path, chunks: _Chunks) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        ends, index = [size], b""
        if chunks.sharded:
            length = 16 * chunks.number
            file.seek(max(0, size - length - _CHECKSUM))
            index = file.read()
            places = struct.iter_unpack("<QQ", index[: len(index) // 16 * 16])
            ends = [start + count for start, count in places if start + count <= size]
        digest = xxhash.xxh3_128(index)
        for end in ends:
            file.seek(max(0, end - _CHECKSUM))
            digest.update(file.read(_CHECKSUM))
    return digest.hexdigest()


def _chunks(metadata: Path) -> _Chunks | None:
    """How an array's files are read for their checksums; None if they have none."""
    try:
        found = json.loads(metadata.read_text(encoding="utf-8"))
        *_, last = found["codecs"]
        if last["name"] == "crc32c":
            return _Chunks(1, False)
        inner = last["configuration"]
        if last["name"] != "sharding_indexed" or inner["index_location"] != "end":
            return None
        if inner["codecs"][-1]["name"] != "crc32c":
            return None
        shard = found["chunk_grid"]["configuration"]["chunk_shape"]
        sides = zip(shard, inner["chunk_shape"], strict=True)
        return _Chunks(prod(whole // part for whole, part in sides), True)
    except (KeyError, ValueError, TypeError, ZeroDivisionError):
        return None
