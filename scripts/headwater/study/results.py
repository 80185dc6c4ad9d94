"""What the members of a study found, read from their own results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.corpus.window import Window
from headwater.evaluation.effects import series
from headwater.evaluation.verdicts import Unit, units, verdicts
from headwater.heads.targets import NOT_FOUND, read_choice
from headwater.identity import Config
from headwater.interventions.runs import BASELINE
from headwater.report.findings import rise_of
from headwater.tables import read_table

JUDGED, NO_HEAD = "judged", "no head rose in its window, so its arms show nothing"
GREW_NONE = "no head was found in its training"


def _no_units() -> pd.DataFrame:
    return pd.DataFrame(columns=["target", "unit"])


@dataclass(frozen=True)
class Member:
    """One member's results.

    Attributes:
        experiment: its name, and that of its folder.
        state: `judged`, or why its arms count for nothing.
        head: of the window's target; "" if it is not known.
        window: None likewise.
        effects: `evaluation/effects.tsv`; empty unless its arms count.
        control_units: `evaluation/control_units.tsv`, likewise.
        score: of the head, by name; "" if its arms do not count.
    """

    name: str
    experiment: str
    state: str
    head: str = ""
    window: Window | None = None
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    control_units: pd.DataFrame = field(default_factory=_no_units)
    score: str = ""

    @property
    def judged(self) -> bool:
        """Whether its arms count."""
        return self.state == JUDGED

    def areas(self, target: str | None = None) -> "pd.Series[float]":
        """Area of every arm over the baseline's, mean over draws.

        Args:
            target: whose head is meant, of a control unit; else the window's.
        """
        table, units = self.effects, self.control_units
        if target is not None:
            table = units[units["target"] == target]
        draws = table.groupby("arm", sort=False)["area_ratio"]
        return draws.agg(lambda values: values.mean(skipna=False))


def grew_none(reason: str) -> bool:
    """Whether a run ended since it grew no head: a result, and no failure."""
    return NOT_FOUND in reason


def ended_early(name: str, config: Config, reason: str) -> Member:
    """A member whose run ended before its arms were judged, for a reason."""
    state = GREW_NONE if grew_none(reason) else f"its run failed ({reason})"
    return Member(name, config["experiment"], state)


def read_member(name: str, config: Config, folder: Path) -> Member:
    """A member whose run ended well. Whether a head rose is asked of its baseline only.

    Args:
        config: the member's.
        folder: with the results of all experiments.

    Raises:
        HeadwaterError: a result cannot be read, or is of another config.
    """
    experiment, target = config["experiment"], config["window"]["target"]
    results = folder / experiment
    targets = [results / f"heads/targets/{target}.json"]
    choice = read_choice(results / "heads/window.json", targets, config)
    chosen, window = choice.targets[target], choice.window
    baseline = read_table(results / f"evaluation/{BASELINE}/{BASELINE}.tsv")
    curve = series(baseline, chosen.score, "head", chosen.head)
    if not rise_of(curve, choice, chosen).in_window:
        return Member(name, experiment, NO_HEAD, chosen.head, window)
    tables = [
        read_table(results / f"evaluation/{table}.tsv")
        for table in ("effects", "control_units")
    ]
    effects, others = tables
    return Member(
        *(name, experiment, JUDGED, chosen.head, window, effects, others),
        score=chosen.score,
    )


@dataclass(frozen=True)
class Study:
    """All members, those that failed or grew no head among them.

    Attributes:
        config: of the study.
    """

    config: Mapping[str, Any]
    members: list[Member]

    @property
    def judged(self) -> list[Member]:
        """The members whose arms count."""
        return [member for member in self.members if member.judged]

    @property
    def unit(self) -> str:
        """The heads that the claims are about."""
        return ", ".join(dict.fromkeys(member.head for member in self.judged))

    def verdicts(self) -> pd.DataFrame:
        """See `evaluation.verdicts`."""
        target, arms = self.config["window"]["target"], self.config["arms"]
        effects = {member.name: member.effects for member in self.judged}
        others = {member.name: member.control_units for member in self.judged}
        own = Unit(target, self.unit, effects)
        return verdicts(arms, units(own, others))

    def table(self) -> pd.DataFrame:
        """A line a member: its state, head, window, and the area of every arm."""
        lines = []
        for member in self.members:
            line: dict[str, object] = {
                "member": member.name,
                "experiment": member.experiment,
                "state": member.state,
                "head": member.head,
            }
            if member.window is not None:
                line |= {"start": member.window.start, "end": member.window.end}
            if member.judged:
                line |= member.areas().drop(BASELINE).add_prefix("area_").to_dict()
            lines.append(line)
        return pd.DataFrame(lines)
