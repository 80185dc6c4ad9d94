"""Plans on disk: HDF5 with `rows` int64, `weights` float32, `picked` int64."""

from pathlib import Path
from typing import Any

from headwater.hdf5 import open_file, publish_hdf5
from headwater.interventions.arms import Plan
from headwater.stages import Config


def write_plan(path: Path, plan: Plan, identity: dict[str, Any]) -> None:
    """Publish a plan."""
    with publish_hdf5(path, identity) as file:
        for name, values in plan.__dict__.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)


def read_plan(path: Path, config: Config) -> Plan:
    """Read a plan, checked against the config."""
    with open_file(path, config) as file:
        return Plan(**{name: file[name][...] for name in ("rows", "weights", "picked")})
