"""EK-FAC factors on disk: one HDF5 file a checkpoint.

/                       attributes: identity (JSON), rows, hessian
/bases/<side>           float64 [width, width]     eigenvectors as columns; a side is
                                                   L0/input, L0H1/qk, ...
/lambdas/<head>/<block> float64 [rows, columns]    mean squared per-row gradient
"""

from pathlib import Path
from typing import Any

import h5py
import torch

from headwater.curvature.ekfac import Factors
from headwater.errors import HeadwaterError, again
from headwater.gradients.blocks import BLOCKS, Mode
from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config


def fitted_mode(config: Config) -> Mode:
    """The blocks that are fitted: of `qk` all of `qkvo`, so that both can be asked."""
    return "qo" if config["gradients"]["mode"] == "qo" else "qkvo"


def write_factors(path: Path, factors: Factors, identity: dict[str, Any]) -> None:
    """Publish factors as an HDF5 file."""
    with publish_hdf5(
        path, identity, rows=factors.rows, hessian=factors.hessian
    ) as file:
        for group in ("bases", "lambdas"):
            for name, value in getattr(factors, group).items():
                file.create_dataset(f"{group}/{name}", data=value.numpy())


def read_factors(path: Path, config: Config) -> Factors:
    """Read factors, checked against the config.

    Raises:
        HeadwaterError: not readable, or made under another config.
    """
    with open_file(path, config) as file:
        factors = Factors(
            bases=_tensors(file["bases"]),
            lambdas=_tensors(file["lambdas"]),
            rows=int(file.attrs["rows"]),
            hessian=str(file.attrs["hessian"]),
        )
    mode = fitted_mode(config)
    if {name.rpartition("/")[2] for name in factors.lambdas} != {*BLOCKS[mode]}:
        raise HeadwaterError(
            f"{path}: made under another gradients.mode than {mode!r}; {again(path)}"
        )
    return factors


def _tensors(group: h5py.Group) -> dict[str, torch.Tensor]:
    return {
        f"{outer}/{inner}": torch.from_numpy(dataset[...])
        for outer, members in group.items()
        for inner, dataset in members.items()
    }
