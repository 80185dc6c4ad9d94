"""Where the gradient stores are and what they hold; free of what is slow to import."""

import json
import os
from contextlib import suppress
from pathlib import Path

from headwater.checkpoints.schedule import point_names
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.models.sections import fitted_units, unit_of, units_meant
from headwater.units import EVERY_HEAD, Unit


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


def check_unit(results: Path, config: Config, unit: Unit, config_file: str) -> None:
    """See that the stores hold a unit, as far as their metadata can be read.

    Args:
        config_file: the config's file, for what to write into it if they do not.

    Raises:
        HeadwaterError: they hold others; what to write and type, and what it costs.
    """
    store = store_paths(results, config)[0]
    held: list[str] = []
    with suppress(OSError, ValueError, LookupError, TypeError):
        metadata = json.loads((store / "zarr.json").read_text("utf-8"))
        held = [str(name) for name in metadata["attributes"]["units"]]
    if held and str(unit) not in held:
        raise HeadwaterError(
            f"{store}: {unit} is not in this store, which holds {_some(held)}; "
            f"{_how_to_store(unit, held, results, config, config_file)}"
        )


def _some(held: list[str], most: int = 20) -> str:
    more = len(held) - most
    return ", ".join(held[:most]) + (f" and {more:,} more" if more > 0 else "")


def _how_to_store(
    unit: Unit, held: list[str], results: Path, config: Config, config_file: str
) -> str:
    """What to write and type to have a unit stored, and what it costs."""
    patterns = _patterns(unit, held, config)
    labels = units_meant(patterns, config)
    cost = f"the stores grow from {_megabytes(results, config):,.0f} to about "
    sizes = [sum(unit_of(n, config).size for n in names) for names in (held, labels)]
    cost += f"{_megabytes(results, config) * sizes[1] / sizes[0]:,.0f} MB"
    if seconds := _seconds_taken(results):
        cost = f"one more pass over the rows (the last took {seconds:,.0f} s), {cost}"
    if not set(unit.blocks) <= {b for one in fitted_units(config) for b in one.blocks}:
        cost += ", and new factors are fitted"
    return (
        f"to have it, write `gradients: {{units: {json.dumps(patterns)}}}` in "
        f"{config_file} and run `.venv/bin/snakemake --cores all influence "
        f"--configfile {config_file}`: {cost}; no arm of the same rows trains again"
    )


def _patterns(unit: Unit, held: list[str], config: Config) -> list[str]:
    """`gradients.units` with a unit more: every head at once, if it is one."""
    stored = config["gradients"]["units"]
    wanted = EVERY_HEAD if unit.word == "head" else str(unit)
    before = held if stored == "targets" else stored
    heads = set(units_meant([EVERY_HEAD], config))
    others = [n for n in before if wanted != EVERY_HEAD or n not in heads]
    return list(dict.fromkeys([wanted, *others]))


def _megabytes(results: Path, config: Config) -> float:
    files = (
        Path(root, name)
        for store in store_paths(results, config)
        for root, _, names in os.walk(store)
        for name in names
    )
    return sum(file.stat().st_size for file in files) / 1e6


def _seconds_taken(results: Path) -> float:
    """Seconds of the passes that made the stores; 0 if that is not known."""
    tables = (results / "benchmarks" / "gradients").glob("row_gradients-*.tsv")
    with suppress(OSError, ValueError, IndexError):
        lines = [table.read_text("utf-8").splitlines() for table in tables]
        return sum(float(line[1].split("\t")[0]) for line in lines)
    return 0.0


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
