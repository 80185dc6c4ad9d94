"""What rows look like, on disk.

features/<shard>.h5   a dataset a feature, float64 [rows]; `source` and `line` of each
                      row's document, int64 [rows]; the part of the window that the
                      shard of its scores has
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from headwater.catalysts.features import FEATURES
from headwater.identity import Config
from headwater.interventions.facts import read_facts

DOCUMENT = ("source", "line")


@dataclass(frozen=True)
class Looks:
    """What the rows of the window look like.

    Attributes:
        features: of every row, by name, in the order of `FEATURES`.
        owners: number of each row's document; rows of one document have the same.
    """

    features: dict[str, Float64[np.ndarray, " rows"]]
    owners: Int64[np.ndarray, " rows"]


def read_looks(paths: Sequence[Path], config: Config) -> Looks:
    """What all rows look like, from the shards in order."""
    parts = [read_facts(path, config) for path in paths]
    columns = {
        name: np.concatenate([part[name] for part in parts])
        for name in (*FEATURES, *DOCUMENT)
    }
    document = np.stack([columns.pop(name) for name in DOCUMENT], axis=1)
    _, owners = np.unique(document, axis=0, return_inverse=True)
    return Looks(columns, owners.reshape(-1).astype(np.int64))
