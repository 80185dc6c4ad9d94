"""Where the gradient stores are and what they hold; free of what is slow to import."""

import json
from contextlib import suppress
from pathlib import Path

from headwater.checkpoints.schedule import point_names
from headwater.errors import HeadwaterError
from headwater.identity import Config


def store_paths(results: Path, config: Config, *points: str) -> list[Path]:
    """The gradient stores of some points, in order; by default of all."""
    return [
        results / "gradients" / point / f"{number:04d}.zarr"
        for point in points or point_names(config["window"])
        for number in range(config["gradients"]["shards"])
    ]


def check_stored(results: Path, config: Config, config_file: str) -> None:
    """See that the stores are there.

    Args:
        config_file: the config's file, for what to type if they are not.

    Raises:
        HeadwaterError: the `gradients` stage has not been run.
    """
    for needed in (results / "heads/window.json", *store_paths(results, config)):
        if not needed.exists():
            raise HeadwaterError(
                f"{needed}: not there, or no longer; run `.venv/bin/snakemake "
                f"--cores all gradients --configfile {config_file}` first"
            )


def check_unit(results: Path, config: Config, unit: str) -> None:
    """See that the stores hold a unit, as far as their metadata can be read.

    Raises:
        HeadwaterError: they hold others.
    """
    store = store_paths(results, config)[0]
    with suppress(OSError, ValueError, LookupError, TypeError):
        metadata = json.loads((store / "zarr.json").read_text("utf-8"))
        held = metadata["attributes"]["units"]
        check_held(str(store), held, unit)


def check_held(store: str, held: list[str], unit: str) -> None:
    """See that a unit is among those of a store.

    Raises:
        HeadwaterError: it is not.
    """
    if unit not in held:
        raise HeadwaterError(
            f"{store}: {unit} is not in this store, which holds "
            f"{', '.join(held)}; see gradients.units in the config"
        )
