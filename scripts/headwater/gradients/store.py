"""The gradient store: one Zarr v3 store a shard of rows.

    <shard>.zarr/           attributes: identity, first_row, heads, mode, k
      values  float16 [rows, heads, k]   whitened kept coordinates, unit norm
      norms   float32 [rows, heads]      the norm each row of `values` was divided by
      losses  float32 [rows]             summed loss of the row, nats
      index   int64   [heads, k]         which eigen-coordinates are kept
      scale   float64 [heads, k]         what they were divided by (whitening)

Chunked by head, so that one head is read without the others; sharded, so that a store
has few files; not compressed, since gradients are noise to a compressor.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.gradients.coordinates import Coordinates
from headwater.stores import array, create_group, write_array

CHUNK_ROWS = 2048
SHARD_CHUNKS = 8
SHARD_BYTES = 1 << 28  # a shard is buffered whole before it is written


class GradientWriter:
    """Writes the rows of one shard in order, a chunk at a time.

    Args:
        path: an unpublished folder.
        identity: of the store.
        first_row: global number of the shard's first row.
        rows: how many rows the shard has.
        kept: by head label, which coordinates are stored.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        first_row: int,
        rows: int,
        kept: dict[str, Coordinates],
    ) -> None:
        self._heads = list(kept)
        self._first_row = first_row
        self._written = 0
        count = len(next(iter(kept.values())).index)
        self._group = create_group(
            path, identity, first_row=first_row, heads=self._heads
        )
        write_array(self._group, "index", np.stack([c.index for c in kept.values()]))
        write_array(self._group, "scale", np.stack([c.scale for c in kept.values()]))
        self._values = self._create(rows, count)
        self._norms = np.zeros((rows, len(kept)), np.float32)
        self._losses = np.zeros(rows, np.float32)
        self._buffer: list[np.ndarray] = []

    def _create(self, rows: int, count: int) -> zarr.Array:
        chunk = min(CHUNK_ROWS, rows)
        chunks = (chunk, 1, count)
        most = SHARD_BYTES // (chunk * len(self._heads) * count * 2)
        per_shard = max(1, min(SHARD_CHUNKS, -(-rows // chunk), most))
        shard = (chunk * per_shard, len(self._heads), count)
        return self._group.create_array(
            "values",
            shape=(rows, len(self._heads), count),
            dtype=np.float16,
            chunks=chunks,
            shards=shard,
            compressors=None,
        )

    def append(self, projected: dict[str, Tensor], losses: Tensor) -> None:
        """Add the next rows.

        Args:
            projected: by head label, whitened coordinates [batch, k].
            losses: summed loss of each row [batch].

        Raises:
            HeadwaterError: a gradient is not finite; the row is named.
        """
        block = np.stack([projected[h].cpu().numpy() for h in self._heads], axis=1)
        start = self._written + sum(len(piece) for piece in self._buffer)
        stop = start + len(block)
        norms = np.linalg.norm(block, axis=2)
        self._check_finite(norms, start)
        self._norms[start:stop] = norms
        self._losses[start:stop] = losses.cpu().numpy()
        unit = block / np.where(norms > 0, norms, 1)[..., None]
        self._buffer.append(unit.astype(np.float16))
        if stop - self._written >= self._flush_rows:
            self._flush()

    @property
    def _flush_rows(self) -> int:
        shards = self._values.shards
        assert shards is not None
        return int(shards[0])  # only whole shards: a partial write would read it back

    def _check_finite(self, norms: np.ndarray, start: int) -> None:
        bad = np.flatnonzero(~np.isfinite(norms).all(axis=1))
        if len(bad):
            raise HeadwaterError(
                f"row {self._first_row + start + int(bad[0])}: its gradient is not "
                "finite; the checkpoint has diverged, or the row's loss overflows"
            )

    def _flush(self, everything: bool = False) -> None:
        rows = np.concatenate(self._buffer) if self._buffer else np.empty((0,))
        count = len(rows) if everything else len(rows) - len(rows) % self._flush_rows
        if count:
            self._values[self._written : self._written + count] = rows[:count]
        self._buffer = [rows[count:]] if count < len(rows) else []
        self._written += count

    def close(self) -> None:
        """Write what is buffered, the norms and the losses; every row has come."""
        self._flush(everything=True)
        assert self._written == len(self._losses), "the rest would read as zeros"
        write_array(self._group, "norms", self._norms)
        write_array(self._group, "losses", self._losses)


def read_head(
    group: zarr.Group, head: str, block_rows: int = CHUNK_ROWS * SHARD_CHUNKS
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Stream one head of a store.

    Yields:
        (which rows of the shard, unit-norm values float16 [rows, k], norms [rows]).
    """
    position = list(group.attrs["heads"]).index(head)  # type: ignore[arg-type]
    values, norms = array(group, "values"), array(group, "norms")
    for start in range(0, values.shape[0], block_rows):
        rows = slice(start, min(start + block_rows, values.shape[0]))
        unit = np.asarray(values[rows, position])
        yield rows, unit, np.asarray(norms[rows, position])
