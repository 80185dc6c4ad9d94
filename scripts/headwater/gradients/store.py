"""The gradient store: one Zarr v3 store a shard of rows.

    <shard>.zarr/           attributes: identity, first_row, heads, bits, seed
      codes   uint8   [rows, heads, width]   coded whitened coordinates (`codes`)
      scales  float32 [rows, heads]          size of a step of each row's codes
      losses  float32 [rows]                 summed loss of the row, nats
      index   int64   [heads, k]             which eigen-coordinates are kept
      whitening float64 [heads, k]           what they were divided by

Chunked by head, so that one head is read without the others; sharded, so that a store
has few files; not compressed, since codes are noise to a compressor. A shard is written
chunk by chunk, so memory holds one chunk of every head and no more.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.gradients.coordinates import Coordinates, Projection
from headwater.gradients.heads import gradients_of, released_gradients
from headwater.gradients.passes import PassOptions, RowSource, check_finite
from headwater.shardfile import SHARD_BYTES, ShardFile
from headwater.stores import array, create_group, read, write_array

CHUNK_BYTES = 1 << 22  # of one head
BUFFER_BYTES = 1 << 27  # of one chunk of every head, in memory
_DECODED_ROWS = 256


class GradientWriter:
    """Writes the rows of one shard in order, a chunk at a time.

    Args:
        path: an unpublished folder.
        identity: of the store.
        first_row: number of the shard's first row in the window.
        rows: how many rows the shard has.
        projections: by head; all of one width.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        first_row: int,
        rows: int,
        projections: dict[Head, Projection],
    ) -> None:
        self._projections = projections
        self._done = self._written = 0
        codec = next(iter(projections.values())).codec
        kept = [projection.kept for projection in projections.values()]
        self._group = create_group(
            path,
            identity,
            first_row=first_row,
            heads=[str(head) for head in projections],
            bits=codec.bits,
            seed=codec.seed,
        )
        write_array(self._group, "index", np.stack([c.index for c in kept]))
        write_array(self._group, "whitening", np.stack([c.scale for c in kept]))
        self._chunk, self._chunks = self._create(rows, codec.width)
        self._folder = path / "codes" / "c"
        self._shard: ShardFile | None = None
        self._buffer = np.zeros((self._chunk, len(kept), codec.width), np.uint8)
        self._scales = np.zeros((rows, len(kept)), np.float32)
        self._losses = np.zeros(rows, np.float32)

    @property
    def heads(self) -> list[Head]:
        """The heads that are stored."""
        return list(self._projections)

    def _create(self, rows: int, width: int) -> tuple[int, int]:
        heads, rows = len(self._projections), max(1, rows)
        each = min(CHUNK_BYTES, BUFFER_BYTES // heads, SHARD_BYTES // heads)
        chunk = min(max(1, each // width), rows)
        most = max(1, SHARD_BYTES // (chunk * heads * width))
        chunks = min(most, -(-rows // chunk))
        self._group.create_array(
            "codes",
            shape=(rows, heads, width),
            dtype=np.uint8,
            chunks=(chunk, 1, width),
            shards=(chunk * chunks, heads, width),
            compressors=None,
        )
        return chunk, chunks

    def append(self, gradients: dict[Head, Tensor], losses: Tensor) -> None:
        """Add the next rows.

        Args:
            gradients: by head, flat in the eigenbasis [batch, parameters]; finite.
            losses: summed loss of each row [batch].
        """
        coded = [p.encode(gradients[head]) for head, p in self._projections.items()]
        codes = torch.stack([codes for codes, _ in coded], dim=1).cpu().numpy()
        rows = slice(self._done, self._done + len(codes))
        self._scales[rows] = torch.stack([s for _, s in coded], dim=1).cpu().numpy()
        self._losses[rows] = losses.cpu().numpy()
        while len(codes):
            room = self._written + len(self._buffer) - self._done
            start = self._done - self._written
            taken, codes = codes[:room], codes[room:]
            self._buffer[start : start + len(taken)] = taken
            self._done += len(taken)
            if len(taken) == room:
                self._flush()

    def _flush(self) -> None:
        count = self._done - self._written
        if count:
            number, place = divmod(self._written // self._chunk, self._chunks)
            if place == 0:
                self._next_shard(number)
            assert self._shard
            self._buffer[count:] = 0  # the last chunk is whole, too
            for head in range(self._buffer.shape[1]):
                chunk = np.ascontiguousarray(self._buffer[:, head])
                self._shard.append((place, head, 0), chunk.data.cast("B"))
        self._written = self._done

    def _next_shard(self, number: int) -> None:
        self._close_shard()
        grid = (self._chunks, self._buffer.shape[1], 1)
        self._shard = ShardFile(self._folder / str(number) / "0" / "0", grid)

    def _close_shard(self) -> None:
        if self._shard:
            self._shard.close()

    def close(self) -> None:
        """Write what is buffered, the scales and the losses; every row has come."""
        self._flush()
        self._close_shard()
        assert self._written == len(self._losses), "the rest would read as zeros"
        write_array(self._group, "scales", self._scales)
        write_array(self._group, "losses", self._losses)


def fill_store(
    writer: GradientWriter,
    model: GPTNeoXForCausalLM,
    rows: RowSource,
    bases: Mapping[str, Tensor],
    mode: str,
    options: PassOptions,
    as_released: bool = False,
    update: Callable[[int], None] = lambda count: None,
) -> None:
    """Pass all rows through the model and write the gradients of the writer's heads.

    Args:
        writer: says which heads; it is closed at the end.
        model: on its device.
        rows: the rows of the shard.
        bases: eigenvectors by side name, as in `curvature.Factors`.
        mode: `qk` or `qkvo`.
        options: see `run_pass`.
        as_released: one pass for each head index, with all other heads detached.
        update: told how many rows are done.

    Raises:
        HeadwaterError: a gradient is not finite; the row is named.
    """
    stream = released_gradients if as_released else gradients_of
    for batch, gradients in stream(model, rows, writer.heads, mode, options, bases):
        for flat in gradients.values():
            check_finite(flat, batch.rows, options, "gradient")
        writer.append(gradients, batch.losses)
        update(len(batch.losses))
    writer.close()


class HeadRows:
    """One head's rows in a store.

    Args:
        group: an open gradient store.
        head: the head.

    Raises:
        HeadwaterError: the store does not hold the head.
    """

    def __init__(self, group: zarr.Group, head: Head) -> None:
        heads = [str(h) for h in group.attrs["heads"]]  # type: ignore[union-attr]
        if str(head) not in heads:
            raise HeadwaterError(
                f"{group.store_path}: head {head} is not in this store, which holds "
                f"{', '.join(heads)}; see gradients.heads in the config"
            )
        position = heads.index(str(head))
        kept = Coordinates(
            np.asarray(array(group, "index")[position]),
            np.asarray(array(group, "whitening")[position]),
        )
        bits, seed = int(group.attrs["bits"]), int(group.attrs["seed"])  # type: ignore[arg-type]
        self.projection = Projection(kept, bits, seed)
        self._codes, self._position = array(group, "codes"), position
        self.scales = torch.from_numpy(read(group, "scales")[:, position].copy())

    def __len__(self) -> int:
        """How many rows."""
        return len(self.scales)

    def codes(self, rows: slice) -> Tensor:
        """Codes of some rows, uint8 [rows, width]."""
        return torch.from_numpy(np.asarray(self._codes[rows, self._position]))

    def stream(self) -> Iterator[tuple[slice, Tensor]]:
        """(which rows, their codes), chunk by chunk, the next one read meanwhile."""
        size = self._read_rows()
        parts = [slice(i, min(i + size, len(self))) for i in range(0, len(self), size)]
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self.codes, part) for part in parts[:1]]
            for position, part in enumerate(parts):
                ready = waiting.pop().result()
                waiting += [
                    reader.submit(self.codes, following)
                    for following in parts[position + 1 : position + 2]
                ]
                yield part, ready

    def _read_rows(self) -> int:
        # Whole chunks; several where they are small, as the index is read each time.
        chunk = self._codes.chunks[0]
        return int(chunk * max(1, CHUNK_BYTES // (chunk * self._codes.shape[2])))

    def products(self, queries: Tensor) -> np.ndarray:
        """Inner products of every row with queries (`Projection.query`).

        Args:
            queries: float32 [padded, queries].

        Returns:
            float32 [rows, queries].
        """
        result = np.empty((len(self), queries.shape[1]), np.float32)
        for part, codes in self.stream():
            found = self.projection.codec.products(codes, queries)
            result[part] = (found * self.scales[part, None]).numpy()
        return result

    def decode(self, rows: slice) -> Tensor:
        """Whitened coordinates of some rows, rotated: float32 [rows, padded]."""
        return self.projection.codec.decode(self.codes(rows), self.scales[rows])

    def cosines(self, vector: Tensor) -> np.ndarray:
        """Cosine of every row's whitened coordinates with a vector: float32 [rows].

        Args:
            vector: rotated, [padded]; see `decode`.
        """
        result = np.empty(len(self), np.float32)
        unit = vector / max(float(vector.norm()), 1e-30)
        for part, codes in self.stream():
            for start in range(0, len(codes), _DECODED_ROWS):
                rows = slice(start, min(start + _DECODED_ROWS, len(codes)))
                own = self.projection.codec.decode(
                    codes[rows], torch.ones(rows.stop - start)
                )
                place = slice(part.start + start, part.start + rows.stop)
                result[place] = (own @ unit / own.norm(dim=1)).numpy()
        return np.where(self.scales.numpy() > 0, result, 0.0)


def check_rows(group: zarr.Group, rows: range) -> None:
    """Refuse a store of other rows than those asked for.

    Args:
        group: an open gradient store.
        rows: the rows wanted, counted from the window's first.

    Raises:
        HeadwaterError: names both.
    """
    first = int(group.attrs["first_row"])  # type: ignore[arg-type]
    found = range(first, first + array(group, "losses").shape[0])
    if found != rows:
        raise HeadwaterError(
            f"{group.store_path}: holds rows {found.start} to {found.stop} of the "
            f"window, but {rows.start} to {rows.stop} are asked for; delete it and run "
            "again"
        )
