"""Probe gradients on disk: one HDF5 file a target, `<unit>/<block>` in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import torch

from headwater.gradients.blocks import Matrices
from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config


@dataclass(frozen=True)
class ProbeGradient:
    """A probe's mean f over its sequences, and its gradient by block of the unit."""

    unit: str
    value: float
    gradient: Matrices


def write_probe_gradient(
    path: Path,
    gradient: Matrices,
    value: float,
    identity: dict[str, Any],
) -> None:
    """Publish a probe's gradient; the identity names target and unit."""
    with publish_hdf5(path, identity, value=value) as file:
        for block, matrix in gradient.items():
            file[block] = matrix.numpy()


def read_probe_gradient(path: Path, config: Config) -> ProbeGradient:
    """Read a probe gradient, checked against the config.

    Raises:
        HeadwaterError: not readable, or made under another config.
    """
    with open_file(path, config) as file:
        return ProbeGradient(
            unit=json.loads(file.attrs["identity"])["unit"],
            value=float(file.attrs["value"]),
            gradient=matrices(file),
        )


def matrices(group: h5py.Group) -> Matrices:
    """All matrices of a group's groups, named by both."""
    return {
        f"{outer}/{inner}": torch.from_numpy(dataset[...])
        for outer, members in group.items()
        for inner, dataset in members.items()
    }
