"""Arms on disk: HDF5 with `rows` int64, `weights` float32, `picked` int64."""

from pathlib import Path
from typing import Any

from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import Config
from headwater.interventions.arms import ArmRows


def write_arm(path: Path, arm: ArmRows, identity: dict[str, Any]) -> None:
    """Publish an arm's rows."""
    with publish_hdf5(path, identity) as file:
        for name, values in arm.__dict__.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)


def read_arm(path: Path, config: Config) -> ArmRows:
    """Read an arm's rows, checked against the config."""
    with open_file(path, config) as file:
        return ArmRows(
            **{name: file[name][...] for name in ("rows", "weights", "picked")}
        )
