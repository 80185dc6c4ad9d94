"""EK-FAC factors on disk: one HDF5 file a checkpoint.

/                       attributes: identity (JSON), rows, hessian
/bases/<side>           float64 [width, width]     eigenvectors as columns; a side is
                                                   L0/input, L0H1/qk, ...
/lambdas/<head>/<block> float64 [rows, columns]    mean squared per-row gradient
"""

from pathlib import Path
from typing import Any

from headwater.curvature.ekfac import Factors
from headwater.gradients.files import matrices
from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config


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
        return Factors(
            bases=matrices(file["bases"]),
            lambdas=matrices(file["lambdas"]),
            rows=int(file.attrs["rows"]),
            hessian=str(file.attrs["hessian"]),
        )
