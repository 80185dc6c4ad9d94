"""Probe gradients on disk: one HDF5 file a target, one dataset a block."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headwater.geometry import Head
from headwater.gradients.blocks import Matrices
from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config


@dataclass(frozen=True)
class ProbeGradient:
    """A probe's mean f over its sequences, and its gradient by block of the head."""

    head: Head
    value: float
    gradient: Matrices


def write_probe_gradient(
    path: Path,
    gradient: Matrices,
    value: float,
    identity: dict[str, Any],
) -> None:
    """Publish a probe's gradient; the identity names target and head."""
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
            head=Head.parse(json.loads(file.attrs["identity"])["head"]),
            value=float(file.attrs["value"]),
            gradient={k: torch.from_numpy(v[...]) for k, v in file.items()},
        )
