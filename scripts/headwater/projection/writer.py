"""Filling a gradient store (`store`), row after row.

A shard is written chunk by chunk, so memory holds one chunk of every head and no more.
While it is written, `<shard>.zarr.part/written` says how many rows are whole in it: a
killed job goes on from there.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from headwater.gradients.blocks import Bases
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions, RowSequence, check_finite
from headwater.logs import logger
from headwater.models.sites import Model
from headwater.projection.codes import SCHEME
from headwater.projection.coordinates import Projection
from headwater.projection.store import ABSENT, CODES, COORDINATES, ROWS
from headwater.publish import fsync_tree, write_text
from headwater.shardfile import CHECKSUM_BYTES, SHARD_BYTES, ShardFile
from headwater.stores import array, create_array, create_group, read, write_array
from headwater.units import Unit

CHUNK_BYTES = 1 << 22  # of one head
BUFFER_BYTES = 1 << 27  # of one chunk of every head, in memory
WRITTEN = "written"


class GradientWriter:
    """Writes the rows of one shard in order, a chunk at a time.

    Args:
        path: an unpublished folder; the rows that a killed job wrote there are kept.
        first_row: number of the shard's first row in the window.
        projections: by unit; narrower ones than the widest are padded.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        first_row: int,
        rows: int,
        projections: dict[Unit, Projection],
    ) -> None:
        self._projections, self._progress = projections, path / WRITTEN
        if not self._progress.exists():
            self._create(path, identity, first_row, rows)
        self._group = zarr.open_group(path, mode="r+", zarr_format=3)
        codes = self._group[CODES]
        assert isinstance(codes, zarr.Array)
        assert codes.shards
        self._chunk, self._chunks = codes.chunks[0], codes.shards[0] // codes.chunks[0]
        self._buffer = np.zeros((self._chunk, *codes.shape[1:]), np.uint8)
        self._folder = path / CODES / "c"
        self._rows = read(self._group, ROWS)
        self._done = self._written = int(self._progress.read_text(encoding="utf-8"))
        self._shard = self._reopened()

    @property
    def units(self) -> list[Unit]:
        """The units that are stored."""
        return list(self._projections)

    def resume(self, batch_size: int) -> int:
        """The row to go on from, where a killed job was; 0 in a new store.

        It begins a batch, so that batches are those of an undisturbed job and rounding
        is, too. Rows of it that are written already are left as they are.
        """
        self._done = self._written // batch_size * batch_size
        if self._written:
            logger.info("resuming at row %d of the shard", self._done)
        return self._done

    def _create(
        self, path: Path, identity: dict[str, Any], first_row: int, rows: int
    ) -> None:
        codec = next(iter(self._projections.values())).codec
        kept = [projection.kept for projection in self._projections.values()]
        width = max(len(one.index) for one in kept)
        group = create_group(
            path,
            identity,
            first_row=first_row,
            units=[str(unit) for unit in self._projections],
            bits=codec.bits,
            seed=codec.seed,
            scheme=SCHEME,
        )
        coordinates = np.full((2, len(kept), width), ABSENT, np.float64)
        for number, one in enumerate(kept):
            coordinates[:, number, : len(one.index)] = one.index, one.scale
        write_array(group, COORDINATES, coordinates)
        write_array(group, ROWS, np.zeros((rows, len(kept) + 1), np.float32))
        widest = max(one.codec.width for one in self._projections.values())
        self._create_codes(group, rows, widest)
        self._mark(0)

    def _create_codes(self, group: zarr.Group, rows: int, width: int) -> None:
        heads = len(self._projections)
        each = min(CHUNK_BYTES, BUFFER_BYTES // heads, SHARD_BYTES // heads)
        chunk = max(1, min(each // width, rows))
        most = max(1, SHARD_BYTES // (chunk * heads * width))
        chunks = max(1, min(most, -(-rows // chunk)))
        create_array(
            group,
            CODES,
            (rows, heads, width),
            np.dtype(np.uint8),
            chunks=(chunk, 1, width),
            shards=(chunk * chunks, heads, width),
            compress=False,
        )

    def append(
        self,
        gradients: dict[Unit, Float[Tensor, "batch parameters"]],
        losses: Float[Tensor, " batch"],
    ) -> None:
        """Add the next rows.

        Args:
            gradients: by unit, flat in the eigenbasis; finite.
        """
        coded = [p.encode(gradients[unit]) for unit, p in self._projections.items()]
        width = self._buffer.shape[2]
        padded = [pad(codes, (0, width - codes.shape[1])) for codes, _ in coded]
        codes = torch.stack(padded, dim=1).cpu().numpy()
        rows = slice(self._done, self._done + len(codes))
        scales = torch.stack([s for _, s in coded], dim=1)
        self._rows[rows, :-1], self._rows[rows, -1] = scales.cpu(), losses.cpu()
        known = min(max(0, self._written - self._done), len(codes))
        self._done, codes = self._done + known, codes[known:]
        while len(codes):
            room = self._written + len(self._buffer) - self._done
            start = self._done - self._written
            taken, codes = codes[:room], codes[room:]
            self._buffer[start : start + len(taken)] = taken
            self._done += len(taken)
            if len(taken) == room:
                self._flush()

    def _flush(self) -> None:
        new = slice(self._written, self._done)
        if new.start == new.stop:
            return
        number, place = divmod(new.start // self._chunk, self._chunks)
        if self._shard is None:
            self._shard = self._file(number)
        self._buffer[new.stop - new.start :] = 0  # the last chunk is whole, too
        for head in range(self._buffer.shape[1]):
            chunk = np.ascontiguousarray(self._buffer[:, head])
            self._shard.append((place, head, 0), chunk)
        if place == self._chunks - 1:
            self._close_shard()
        self._written = new.stop
        if self._shard:
            self._shard.flush()
        array(self._group, ROWS)[new] = self._rows[new]
        self._mark(self._written)

    def _mark(self, written: int) -> None:
        fsync_tree(self._progress.parent)  # the rows first, then that they are there
        write_text(self._progress, str(written))

    def _reopened(self) -> ShardFile | None:
        number, chunks = divmod(-(-self._written // self._chunk), self._chunks)
        return self._file(number, chunks) if chunks else None

    def _file(self, number: int, chunks: int = 0) -> ShardFile:
        heads = len(self._projections)
        path = self._folder / str(number) / "0" / "0"
        size = self._buffer[:, 0].nbytes + CHECKSUM_BYTES
        return ShardFile(path, (self._chunks, heads, 1), chunks * heads, size)

    def _close_shard(self) -> None:
        if self._shard:
            self._shard.close()
        self._shard = None

    def close(self) -> None:
        """Write what is buffered; every row has come."""
        self._flush()
        self._close_shard()
        assert self._written == len(self._rows), "the rest would read as zeros"
        self._progress.unlink()


def fill_store(
    writer: GradientWriter,
    model: Model,
    rows: RowSequence,
    bases: Bases,
    options: PassOptions,
    update: Callable[[int], None] = lambda count: None,
) -> None:
    """Pass all rows through the model and write the gradients of the writer's units.

    Args:
        writer: says which units; it is closed at the end.
        bases: eigenvectors by side name, as in `curvature.Factors`.
        update: told how many rows are done.

    Raises:
        HeadwaterError: a gradient is not finite; the row is named.
    """
    for batch, gradients in gradients_of(model, rows, writer.units, options, bases):
        for flat in gradients.values():
            check_finite(flat, batch.rows, options, "gradient")
        writer.append(gradients, batch.losses)
        update(len(batch.losses))
    writer.close()
