"""Motifs across members: whose motifs help in whose training, beside the controls."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd

from headwater.evaluation.verdicts import controls_of
from headwater.identity import Config
from headwater.interventions.kinds import KINDS, written
from headwater.study.results import Member, Study

COLUMNS = ["motifs_of", "trained", "arm", "draws", "area", "control", "control_area"]


def motif_members(members: Mapping[str, Config]) -> list[str]:
    """Members whose motifs an arm of any member is written after, by name.

    Their motifs are made before the others' arms.

    Args:
        members: configs (`config.study.members`).
    """
    named = {
        arm["motifs_of"]
        for member in members.values()
        for arm in member["arms"].values()
        if "motifs_of" in arm
    }
    return [name for name, one in members.items() if one["experiment"] in named]


def without_motifs(config: Config, experiments: Collection[str]) -> dict[str, Any]:
    """A config without the arms whose rows are after motifs of these experiments."""
    kept = {
        name: arm
        for name, arm in config["arms"].items()
        if arm.get("motifs_of") not in experiments
    }
    return {**config, "arms": kept}


def transfer(study: Study) -> pd.DataFrame:
    """A line for every arm of fresh rows after motifs, in every member that was judged.

    Returns:
        Columns motifs_of and trained (members), arm, draws, area (over the baseline's,
        mean over draws), and the control of the largest area with that; empty and NaN
        without any. Motifs of files, and of experiments that are no members, are left
        out.
    """
    found = [line for member in study.judged for line in _lines(study, member)]
    return pd.DataFrame(found, columns=COLUMNS)


def _lines(study: Study, member: Member) -> Iterator[tuple[Any, ...]]:
    arms = study.config["arms"]
    names = {member.experiment: member.name for member in study.members}
    areas = member.areas()
    for arm, settings in arms.items():
        judged = written(settings) and KINDS[settings["rows"]].role == "judged"
        if not judged or "motifs" in settings or arm not in areas:
            continue
        source = names.get(settings.get("motifs_of", member.experiment))
        if source is None:
            continue
        controls = areas.reindex(controls_of(arm, arms)).dropna()
        best = str(controls.idxmax()) if len(controls) else ""
        most = float(controls.max()) if len(controls) else float("nan")
        own = float(areas[arm])
        yield source, member.name, arm, settings["draws"], own, best, most


def matrix(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """The table as a square: motifs of a member in a line, trained ones in columns.

    Cells are areas in % of the baseline's, in brackets that of the best control. Of
    several arms with the same motifs the first counts.
    """
    if not len(table):
        return []
    trained = [str(name) for name in dict.fromkeys(table["trained"])]
    first = table.drop_duplicates(["motifs_of", "trained"])
    cells = first.set_index(["motifs_of", "trained"])
    rows = [("motifs of", *trained)]
    for source in dict.fromkeys(table["motifs_of"]):
        own = (_cell(cells, (source, name)) for name in trained)
        rows.append((str(source), *own))
    return rows


def _cell(cells: pd.DataFrame, key: tuple[Any, str]) -> str:
    if key not in cells.index:
        return ""
    line = cells.loc[key]
    control = (
        "" if pd.isna(line["control_area"]) else f" ({_percent(line, 'control_')})"
    )
    return f"{_percent(line)}{control}"


def _percent(line: "pd.Series[Any]", prefix: str = "") -> str:
    return f"{100 * line[f'{prefix}area']:z.0f}"
