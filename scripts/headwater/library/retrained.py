"""Arms of a run: which rows they train on, and how their runs went."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.interventions.files import read_arm, read_fresh
from headwater.interventions.runs import BASELINE, run_tables
from headwater.library.places import Places
from headwater.problems import one_line
from headwater.suggestions import unknown_name
from headwater.tables import read_table

FRESH = -1  # in place of the number of a row that was written afresh


def arm_and_draw(name: str, draw: int, arms: Config) -> tuple[str, int]:
    """An arm and one of its draws, given apart or as the name of a run.

    Raises:
        HeadwaterError: no such arm, or not so many draws.
    """
    arm, _, number = name.rpartition("-seed")
    if name not in arms and arm in arms and number.isdecimal():
        name, draw = arm, int(number)
    _check_arm(name, arms)
    if not 0 <= draw < arms[name]["draws"]:
        last = arms[name]["draws"] - 1
        raise HeadwaterError(f"{name}: no draw {draw}; there are 0 to {last}")
    return name, draw


def arm_table(path: Path, config: Config, rows: range) -> pd.DataFrame:
    """See `Run.arm_rows`.

    Args:
        rows: global numbers of the window's.
    """
    arm, fresh = read_arm(path, config), read_fresh(path, config)
    places = np.arange(len(arm.rows))
    weights = arm.weights.reshape(len(places), -1).mean(axis=1)  # of its tokens
    own = arm.rows < len(rows)
    sources = np.full(len(arm.rows), "", object)
    if fresh is not None:
        names = np.array(fresh.sources, object)
        sources[~own] = names[fresh.origin[arm.rows[~own] - len(rows)]]
    positions = places + rows.start
    return pd.DataFrame(
        {
            "position": positions,
            "step": positions // config["training"]["batch_size"],
            "row": np.where(own, arm.rows + rows.start, FRESH),
            "source": sources,
            "weight": weights,
            "picked": np.isin(arm.rows, arm.picked),
            "changed": (arm.rows != places) | (weights != 1),
        }
    )


def curves(places: Places, arms: Config, arm: str | None) -> pd.DataFrame:
    """See `Run.curves`."""
    every = [BASELINE, *arms]
    if arm is not None:
        _check_arm(arm, every)
    wanted = every if arm is None else [arm]
    tables = [_runs(places, name) for name in wanted]
    return pd.concat([run for found in tables for run in found], ignore_index=True)


def _runs(places: Places, arm: str) -> Iterable[pd.DataFrame]:
    """The metrics of an arm's runs, by draw."""
    for path in run_tables([places.there(f"evaluation/{arm}")]):
        table, number = read_table(path), path.stem.rpartition("-seed")[2]
        draw = 0 if arm == BASELINE else int(number)
        for column, value in {"draw": draw, "arm": arm, "run": path.stem}.items():
            table.insert(0, column, value)
        yield table


def _check_arm(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise HeadwaterError(unknown_name("arm", one_line(name), known))
