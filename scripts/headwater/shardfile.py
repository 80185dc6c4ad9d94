"""A shard of a Zarr v3 array, written chunk by chunk.

zarr-python writes a shard in one piece, so that its buffer is as large as the file, and
a store is many files or needs much memory. The format allows appending: encoded chunks
in any order, then the index, the offset and length of every chunk (Zarr v3
specification, codec `sharding_indexed`, with its default index: at the end, little
endian, with a CRC-32C). Readers need nothing of this.
"""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

SHARD_BYTES = 1 << 34  # of one file; its index is read with every chunk

_MISSING = np.iinfo(np.uint64).max


class ShardFile:
    """One shard.

    Args:
        path: of the shard, in the folder of its array.
        grid: chunks along each axis.
        kept: how many chunks, in the grid's order, a killed writer left whole; what
            comes after them in the file is dropped.
        size: bytes of each of those.
    """

    def __init__(
        self, path: Path, grid: tuple[int, ...], kept: int = 0, size: int = 0
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if kept else "wb")
        self._file.truncate(kept * size)
        self._file.seek(kept * size)
        self._index = np.full((*grid, 2), _MISSING, np.uint64)
        places = self._index.reshape(-1, 2)[:kept]
        places[:] = np.stack([np.arange(kept) * size, np.full(kept, size)], axis=1)

    def append(self, place: tuple[int, ...], encoded: bytes | memoryview) -> None:
        """Add a whole encoded chunk; `place` is its position in the grid."""
        self._index[place] = self._file.tell(), len(encoded)
        self._file.write(encoded)

    def flush(self) -> None:
        """Hand over to the system what was added."""
        self._file.flush()

    def close(self) -> None:
        """Write the index."""
        index = encode(self._index, [Crc32cCodec()])
        assert index
        self._file.write(index)
        self._file.close()


def encode(chunk: np.ndarray, compressors: Any = "auto") -> bytes | None:
    """A chunk as zarr stores it; None if it is all zeros, which zarr leaves out.

    Args:
        compressors: as `zarr.create_array` takes them.
    """
    files: dict[str, Buffer] = {}
    array = zarr.create_array(
        MemoryStore(files),
        shape=chunk.shape,
        chunks=chunk.shape,
        dtype=chunk.dtype,
        compressors=compressors,
    )
    array[...] = chunk
    chunks = [value for key, value in files.items() if key.startswith("c/")]
    return chunks[0].to_bytes() if chunks else None
