"""Inverse-Hessian-vector products and scores on disk.

ihvp/<point>/<target>.h5   `product` float64, flat in the eigenbasis of the blocks
<target>/<shard>.zarr      `scores` float32 [rows, points], NaN where a row is not
                           scored; `losses` float32 [rows]; attribute first_row (in the
                           window)
<target>.zarr              of all rows: `scores` float32 [rows], the mean over the
                           points; `losses`; attribute point_factors (see `average`).
                           Where rows are ranked by another score than the paper's
                           (influence.method), `scores` are that, and `mda` the paper's
<target>.tokens.h5         `rows` int64 [n], `scores` float32 [n, length], `written`
                           int64 [n, 2, count] (see `gradients.writes`)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config
from headwater.models.sections import unit_of
from headwater.publish import publish_folder
from headwater.stores import create_group, open_group, read, write_array
from headwater.units import Unit


@dataclass(frozen=True)
class Product:
    """One target's inverse-Hessian-vector product, flat in the eigenbasis."""

    target: str
    unit: Unit
    vector: Float64[np.ndarray, " parameters"]


def write_product(path: Path, product: Product, identity: dict[str, Any]) -> None:
    """Publish an inverse-Hessian-vector product."""
    stamp = {**identity, "target": product.target, "unit": str(product.unit)}
    with publish_hdf5(path, stamp) as file:
        file["product"] = product.vector


def read_product(path: Path, config: Config) -> Product:
    """Read an inverse-Hessian-vector product, checked against the config."""
    with open_file(path, config) as file:
        stamp = json.loads(file.attrs["identity"])
        unit = unit_of(stamp["unit"], config)
        return Product(stamp["target"], unit, file["product"][...])


def write_scores(
    path: Path,
    first_row: int,
    scores: Float32[np.ndarray, "rows ..."],
    losses: Float32[np.ndarray, " rows"],
    identity: dict[str, Any],
    mda: Float32[np.ndarray, " rows"] | None = None,
    **attributes: Any,
) -> None:
    """Publish one target's scores of a shard, at every point; or of all rows, as one.

    Args:
        first_row: number of the first row in the window.
        losses: summed loss of each row, nats.
        mda: the paper's scores, where `scores` are others.
        attributes: what else the store says of itself.
    """
    with publish_folder(path, identity) as folder:
        group = create_group(folder, identity, first_row=first_row, **attributes)
        write_array(group, "scores", scores)
        write_array(group, "losses", losses)
        if mda is not None:
            write_array(group, "mda", mda)


def read_scores(
    paths: Sequence[Path], config: Config
) -> Float32[np.ndarray, "rows ..."]:
    """One target's score of every row of the window; its shards in order."""
    return np.concatenate([read(open_group(p, config), "scores") for p in paths])


def read_mda(path: Path, config: Config) -> Float32[np.ndarray, " rows"]:
    """The paper's score of every row, from `<target>.zarr`, whatever ranks them."""
    group = open_group(path, config)
    return read(group, "mda" if "mda" in group else "scores")


def read_point_factors(path: Path, config: Config) -> Float64[np.ndarray, " points"]:
    """What the scores of every point were multiplied by, from `<target>.zarr`."""
    found: Any = open_group(path, config).attrs["point_factors"]
    return np.array(found, np.float64)


def read_losses(paths: Sequence[Path], config: Config) -> Float32[np.ndarray, " rows"]:
    """The summed loss of every row of the window, nats."""
    return np.concatenate([read(open_group(p, config), "losses") for p in paths])


def write_tokens(
    path: Path,
    rows: Int64[np.ndarray, " rows"],
    scores: Float32[np.ndarray, "rows length"],
    written: Int64[np.ndarray, "rows 2 count"],
    identity: dict[str, Any],
) -> None:
    """Publish what is known of the tokens of some rows (global numbers)."""
    with publish_hdf5(path, identity) as file:
        file["rows"], file["scores"], file["written"] = rows, scores, written


@dataclass(frozen=True)
class RowTokens:
    """A row, token by token.

    Attributes:
        scores: each token's part of the row's score.
        written: ids of the tokens that its gradient pushes in, and of those it pushes
            out.
    """

    scores: Float32[np.ndarray, " length"]
    written: Int64[np.ndarray, "2 count"]


@dataclass(frozen=True)
class TokenTable:
    """What is known of the tokens of some rows, in arrays.

    Attributes:
        rows: global numbers, ascending.
        scores: as in `RowTokens`, of each row; `written` likewise.
    """

    rows: Int64[np.ndarray, " rows"]
    scores: Float32[np.ndarray, "rows length"]
    written: Int64[np.ndarray, "rows 2 count"]


def read_token_table(path: Path, config: Config) -> TokenTable:
    """Read what is known of the tokens of some rows."""
    with open_file(path, config) as file:
        names = ("rows", "scores", "written")
        return TokenTable(*(file[name][...] for name in names))


def read_tokens(path: Path, config: Config) -> dict[int, RowTokens]:
    """What is known of the tokens of some rows, by global row number."""
    table = read_token_table(path, config)
    each = map(RowTokens, table.scores, table.written)
    return dict(zip(table.rows.tolist(), each, strict=True))
