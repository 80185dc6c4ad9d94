"""The gradient store: one Zarr v3 store a shard of rows.

    <shard>.zarr/           attributes: identity, first_row, heads, bits, seed, scheme
      codes  uint8   [rows, heads, width]   coded whitened coordinates (`codes`)
      rows   float32 [rows, heads + 1]      size of a step of the row's codes, by head;
                                            last, its summed loss in nats
      coordinates float64 [2, heads, k]     which eigen-coordinates are kept, and what
                                            they were divided by

Chunked by head, so that one head is read without the others; few arrays and sharded,
since file systems of clusters count files; not compressed, since codes are noise to a
compressor. `writer` writes it; here it is read.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import zarr
from jaxtyping import Float32, UInt8
from torch import Tensor

from headwater.corpus.window import WindowNumbers
from headwater.errors import HeadwaterError, again
from headwater.identity import Config
from headwater.projection.codes import SCHEME
from headwater.projection.coordinates import Coordinates, Projection
from headwater.projection.stored import check_held
from headwater.shares import share_of
from headwater.stores import array, open_group, read, store_of, values

CODES, ROWS, COORDINATES = "codes", "rows", "coordinates"
ABSENT = -1  # a coordinate that a narrower unit than the widest does not have
READ_BYTES = 1 << 22  # at a time
_DECODED_ROWS = 256


class UnitRows:
    """One unit's rows in an open gradient store.

    Raises:
        HeadwaterError: the store lacks the unit, or was coded by another scheme.
    """

    def __init__(self, group: zarr.Group, unit: str) -> None:
        if (scheme := group.attrs.get("scheme")) != SCHEME:
            raise HeadwaterError(
                f"{store_of(group)}: its codes are {scheme or 'of an older scheme'}, "
                f"this Headwater reads {SCHEME}; {again(store_of(group))}"
            )
        held = [str(name) for name in group.attrs["units"]]  # type: ignore[union-attr]
        check_held(str(store_of(group)), held, unit)
        position = held.index(unit)
        index, whitening = values(array(group, COORDINATES), np.s_[:, position])
        there = index != ABSENT
        kept = Coordinates(index[there].astype(np.int64), whitening[there])
        bits, seed = int(group.attrs["bits"]), int(group.attrs["seed"])  # type: ignore[arg-type]
        self.projection = Projection(kept, bits, seed)
        self._codes, self._position = array(group, CODES), position
        self.scales = torch.from_numpy(read(group, ROWS)[:, position].copy())

    def __len__(self) -> int:
        return len(self.scales)

    def codes(self, rows: slice) -> UInt8[Tensor, "rows width"]:
        """Codes of some rows."""
        found = values(self._codes, (rows, self._position))
        width = self.projection.codec.width
        return torch.from_numpy(np.ascontiguousarray(found[..., :width]))

    def stream(self) -> Iterator[tuple[slice, UInt8[Tensor, "rows width"]]]:
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
        return int(chunk * max(1, READ_BYTES // (chunk * self._codes.shape[2])))

    def products(
        self, queries: Float32[Tensor, "padded queries"]
    ) -> Float32[np.ndarray, "rows queries"]:
        """Inner products of every row with queries (`Projection.query`)."""
        result = np.empty((len(self), queries.shape[1]), np.float32)
        for part, codes in self.stream():
            found = self.projection.codec.products(codes, queries)
            result[part] = (found * self.scales[part, None]).numpy()
        return result

    def decode(self, rows: slice) -> Float32[Tensor, "rows padded"]:
        """Whitened coordinates of some rows, rotated."""
        return self.projection.codec.decode(self.codes(rows), self.scales[rows])

    def norms(self) -> Float32[np.ndarray, " rows"]:
        """Euclidean norm of every row's gradient, of the coordinates kept."""
        result = np.empty(len(self), np.float32)
        scale = torch.from_numpy(self.projection.kept.scale).float()
        for part, codes in self.stream():
            for start in range(0, len(codes), _DECODED_ROWS):
                rows = slice(start, min(start + _DECODED_ROWS, len(codes)))
                place = slice(part.start + start, part.start + rows.stop)
                own = self.projection.codec.decode(codes[rows], self.scales[place])
                own = self.projection.codec.turn_back(own) * scale
                result[place] = own.norm(dim=1).numpy()
        return result

    def cosines(
        self, vector: Float32[Tensor, " padded"]
    ) -> Float32[np.ndarray, " rows"]:
        """Cosine of every row's whitened coordinates with a vector, see `decode`."""
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


def row_losses(group: zarr.Group) -> Float32[np.ndarray, " rows"]:
    """Summed loss of every row of an open gradient store, nats."""
    return read(group, ROWS)[:, -1].copy()


def store_parts(
    paths: Sequence[str | Path], step: int, window: WindowNumbers, config: Config
) -> Iterator[tuple[range, zarr.Group]]:
    """The rows of the window that each store of a checkpoint holds, and it opened.

    Args:
        paths: all shards, in order.
        step: of the checkpoint.

    Raises:
        HeadwaterError: a store of another config, or of other rows.
    """
    for shard, path in enumerate(paths):
        part = window.after(step, share_of(len(window), len(paths), shard))
        group = open_group(Path(path), config)
        check_rows(group, part)
        yield part, group


def check_rows(group: zarr.Group, rows: range) -> None:
    """Refuse an open store of other rows than those wanted, counted in the window.

    Raises:
        HeadwaterError: names both.
    """
    first = int(group.attrs["first_row"])  # type: ignore[arg-type]
    found = range(first, first + array(group, ROWS).shape[0])
    if found != rows:
        raise HeadwaterError(
            f"{store_of(group)}: holds rows {found.start} to {found.stop} of the "
            f"window, but {rows.start} to {rows.stop} are asked for; "
            f"{again(store_of(group))}"
        )
