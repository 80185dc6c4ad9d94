"""A shard of a Zarr v3 array, written chunk by chunk.

zarr-python writes a shard in one piece, so that its buffer is as large as the file, and
a store is many files or needs much memory. The format allows appending: encoded chunks
in any order, then the index, the offset and length of every chunk (Zarr v3
specification, codec `sharding_indexed`, with its default index: at the end, little
endian, with a CRC-32C). Chunks end in a CRC-32C, too (codecs `bytes`, `crc32c`).
Readers need nothing of this.
"""

from pathlib import Path

import google_crc32c
import numpy as np

SHARD_BYTES = 1 << 34  # of one file; its index is read with every chunk
CHECKSUM_BYTES = 4

_MISSING = np.iinfo(np.uint64).max


class ShardFile:
    """One shard.

    Args:
        path: of the shard, in the folder of its array.
        grid: chunks along each axis.
        kept: how many chunks, in the grid's order, a killed writer left whole; what
            comes after them in the file is dropped.
        size: bytes of each of those, with its checksum.
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

    def append(self, place: tuple[int, ...], chunk: np.ndarray) -> None:
        """Add a whole chunk, C-contiguous; `place` is its position in the grid."""
        self._index[place] = self._file.tell(), chunk.nbytes + CHECKSUM_BYTES
        self._write(chunk)

    def _write(self, values: np.ndarray) -> None:
        data = values.reshape(-1).view(np.uint8)
        self._file.write(data.data)
        self._file.write(google_crc32c.value(data).to_bytes(CHECKSUM_BYTES, "little"))

    def flush(self) -> None:
        """Hand over to the system what was added."""
        self._file.flush()

    def close(self) -> None:
        """Write the index."""
        self._write(self._index)
        self._file.close()
