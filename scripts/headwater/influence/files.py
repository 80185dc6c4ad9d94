"""Inverse-Hessian-vector products and scores on disk.

<target>.ihvp.h5   dataset `product`, float64, flat in the eigenbasis of the blocks
<shard>.zarr       `scores` float32 [rows, targets], `losses` float32 [rows];
                      attributes first_row (in the window), targets
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headwater.geometry import Head
from headwater.hdf5 import open_file
from headwater.stages import Config
from headwater.stores import open_group, read


@dataclass(frozen=True)
class Product:
    """One target's inverse-Hessian-vector product.

    Attributes:
        target: name of the target.
        head: its head.
        vector: flat eigenbasis coordinates, float64.
    """

    target: str
    head: Head
    vector: np.ndarray


def read_product(path: Path, config: Config) -> Product:
    """Read an inverse-Hessian-vector product, checked against the config."""
    with open_file(path, config) as file:
        stamp = json.loads(file.attrs["identity"])
        head = Head.parse(stamp["head"])
        return Product(stamp["target"], head, file["product"][...])


def read_scores(paths: Sequence[Path], target: str, config: Config) -> np.ndarray:
    """A target's score of every row of the window: float32 [rows].

    Args:
        paths: the score stores of all shards, in order.
        target: name of the target.
        config: for the check of the stores.
    """
    parts = []
    for path in paths:
        group = open_group(path, config)
        targets = list(group.attrs["targets"])  # type: ignore[arg-type]
        parts.append(read(group, "scores")[:, targets.index(target)])
    return np.concatenate(parts)


def read_losses(paths: Sequence[Path], config: Config) -> np.ndarray:
    """The summed loss of every row of the window, nats: float32 [rows]."""
    return np.concatenate([read(open_group(p, config), "losses") for p in paths])
