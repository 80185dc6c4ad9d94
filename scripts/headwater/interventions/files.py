"""An arm in memory and in HDF5: what it trains on, and how its rows were picked.

<arm>-seed<K>.h5        the fields of `ArmRows`, and of `FreshRows` where it has some.
                        The same rows are the same bytes, by whatever scores they were
                        picked: an arm is trained once
<arm>-seed<K>.match.h5  those of `Match`
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Integer

from headwater.identity import Config

_ARRAYS = ("rows", "weights", "picked")
_FRESH = ("tokens", "origin")


@dataclass(frozen=True)
class ArmRows:
    """What an arm trains on, by position in the window.

    Attributes:
        rows: the row trained at each position, counted from the window's first row;
            rows written afresh come after the window's last.
        weights: its weight, or that of each of its predicted tokens.
        picked: the rows the arm picked, ascending.
    """

    rows: Int64[np.ndarray, " positions"]
    weights: Float32[np.ndarray, "positions ..."]
    picked: Int64[np.ndarray, " picked"]


@dataclass(frozen=True)
class FreshRows:
    """Rows of an arm that stand in no corpus.

    Attributes:
        tokens: ids.
        origin: of each row, an index of `sources`.
        sources: what each was written after, such as a motif and its file.
    """

    tokens: Integer[np.ndarray, "rows width"]
    origin: Int64[np.ndarray, " rows"]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Match:
    """How an arm's rows compare with those that they are to explain, if with any.

    Attributes:
        overlap: share of them that the arm they are compared with, of the same size,
            picks too; None for kinds that are compared with no other.
        facts: how like those rows they are, fact by fact (`matching.achieved`).
    """

    overlap: float | None = None
    facts: Sequence[dict[str, Any]] = ()


def write_arm(
    path: Path, arm: ArmRows, identity: dict[str, Any], fresh: FreshRows | None = None
) -> None:
    """Publish an arm's rows, and the tokens of those that were written afresh."""
    from headwater.hdf5 import publish_hdf5  # slow, and the config reads `ACTIONS`

    with publish_hdf5(path, identity) as file:
        for name in _ARRAYS:
            values = getattr(arm, name)
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)
        if fresh is not None:
            for name in _FRESH:
                values = getattr(fresh, name)
                file.create_dataset(
                    f"fresh/{name}", data=values, compression="gzip", shuffle=True
                )
            file["fresh/sources"] = json.dumps(fresh.sources)


def write_match(path: Path, match: Match, identity: dict[str, Any]) -> None:
    """Publish how an arm's rows were picked."""
    from headwater.hdf5 import publish_hdf5

    with publish_hdf5(path, identity) as file:
        if match.overlap is not None:
            file["overlap"] = match.overlap
        file.attrs["match"] = json.dumps(list(match.facts))


def read_arm(path: Path, config: Config) -> ArmRows:
    """Read an arm's rows, checked against the config."""
    from headwater.hdf5 import open_file

    with open_file(path, config) as file:
        return ArmRows(**{name: file[name][...] for name in _ARRAYS})


def read_fresh(path: Path, config: Config) -> FreshRows | None:
    """Read the rows that were written for an arm; None where none were."""
    from headwater.hdf5 import open_file

    with open_file(path, config) as file:
        if "fresh" not in file:
            return None
        sources = json.loads(file["fresh/sources"][()])
        arrays = {name: file[f"fresh/{name}"][...] for name in _FRESH}
        return FreshRows(**arrays, sources=sources)


def read_match(path: Path, config: Config) -> Match:
    """Read how an arm's rows were picked, checked against the config."""
    from headwater.hdf5 import open_file

    with open_file(path, config) as file:
        overlap = float(file["overlap"][()]) if "overlap" in file else None
        return Match(overlap, json.loads(file.attrs["match"]))
