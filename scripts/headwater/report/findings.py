"""The numbers of the arms and of the baseline, as the report reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headwater.heads.targets import FOUND, Choice, Target
from headwater.report.tables import Arms

# A head has emerged if it counts as found at the end, on the draw it was chosen by, and
# its score on the judging draw ends as high and rose by so much over the whole run; the
# arms can say something if it rose by so much in the window.
EMERGED_BY, ROSE_BY = 0.2, 0.1


@dataclass(frozen=True)
class Spread:
    """A quantity over the draws of an arm."""

    low: float
    mean: float
    high: float

    @property
    def known(self) -> bool:
        """Whether every draw has a value."""
        return bool(np.isfinite([self.low, self.mean, self.high]).all())


@dataclass(frozen=True)
class Arm:
    """One arm's settings and effects.

    Attributes:
        name: in the config, or `baseline`.
        action: one of `ACTIONS`; `none` of the baseline.
        rows: one of `KINDS`; `none` of the baseline.
        fraction: of the window's rows.
        target: whose scores rank the rows; None for random rows.
        draws: runs.
        reached: runs that have an onset: they make half of the baseline's rise.
        never: runs that never make it.
        above: runs that are there from the start.
        area: under the head-score curve, over the baseline's.
        shift: of the onset, in steps; lowest and highest of the runs that have one, and
            no mean if any has none.
        at_least: lower bound of the shift's mean over all runs; NaN if there is none.
        probe: mean of the probe over the window, minus the baseline's.
        icl: ICL score at the window's end, nats.
        copying: copy gain on natural text, mean over the window, minus the baseline's.
        overlap: share of the rows that the judged arm, of the same size, has too; NaN
            for kinds that are compared with none.
    """

    name: str
    action: str
    rows: str
    fraction: float
    target: str | None
    draws: int
    reached: int
    never: int
    above: int
    area: Spread
    shift: Spread
    at_least: float
    probe: Spread
    icl: Spread
    copying: Spread
    overlap: float


def read_arms(summary: pd.DataFrame, settings: Arms) -> dict[str, Arm]:
    """The arms of `evaluation/summary.tsv` by name, the baseline among them."""
    return {
        str(line["arm"]): _arm(line, settings.get(str(line["arm"]), {}))
        for _, line in summary.iterrows()
    }


def _arm(line: pd.Series, settings: Mapping[str, Any]) -> Arm:
    def spread(name: str) -> Spread:
        return Spread(*(float(line[f"{name}_{how}"]) for how in ("min", "mean", "max")))

    return Arm(
        name=str(line["arm"]),
        action=str(line["action"]),
        rows=str(line["rows"]),
        fraction=float(settings.get("fraction", 0)),
        target=settings.get("target"),
        draws=int(line["draws"]),
        reached=int(line["reached"]),
        never=int(line["never_reached"]),
        above=int(line["above_from_start"]),
        area=spread("area_ratio"),
        shift=spread("onset_shift"),
        at_least=float(line["onset_at_least"]),
        probe=spread("probe_change"),
        icl=spread("final_icl"),
        copying=spread("natural_copy_gain_change"),
        overlap=float(line["overlap"]),
    )


@dataclass(frozen=True)
class Rise:
    """How the baseline's head score went.

    Attributes:
        first: score at the run's first checkpoint.
        last: at its last.
        start: at the window's start.
        end: at its end.
        found: whether the head counts as found (`heads.targets.find_head`).
    """

    first: float
    last: float
    start: float
    end: float
    found: bool

    @property
    def emerged(self) -> bool:
        """Whether there is a head at all."""
        risen = self.last >= FOUND and self.last - self.first >= EMERGED_BY
        return self.found and risen

    @property
    def in_window(self) -> bool:
        """Whether it rose enough in the window for the arms to change something."""
        return self.emerged and self.end - self.start >= ROSE_BY


def rise_of(curve: pd.Series, choice: Choice, target: Target) -> Rise:
    """Read off the baseline's score of a target's head, a series by step."""
    window = curve.loc[choice.window.start : choice.window.end]
    return Rise(
        first=float(curve.iloc[0]),
        last=float(curve.iloc[-1]),
        start=float(window.iloc[0]),
        end=float(window.iloc[-1]),
        found=target.found,
    )
