"""What the numbers allow to be said, and what they do not.

A judged arm, such as one of top rows, is compared with its *controls*: random arms
with the same action and number of rows, and the baseline itself. A difference counts
only if the arm lies outside the range of all these by more than that range is wide, and
by more than a small floor. The range alone would be a weak test: of four equal draws,
one is lowest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from headwater.heads.targets import FOUND, Choice, Target
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import BASELINE
from headwater.report.tables import Arms

# A head has emerged if it counts as found at the end, on the draw it was chosen by, and
# its score on the judging draw ends as high and rose by so much over the whole run; the
# arms can say something if it rose by so much in the window.
EMERGED_BY, ROSE_BY = 0.2, 0.1

# Smaller differences count for nothing: of area ratios, of probes (in their own unit,
# nats or a share of attention), and of ICL scores in nats.
AREA_FLOOR, PROBE_FLOOR, ICL_FLOOR = 0.05, 0.05, 0.05


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
    overlap: float

    def has(self, role: str) -> bool:
        """Whether its rows are there for that; the baseline's for nothing."""
        return self.name != BASELINE and KINDS[self.rows].role == role


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


class Finding(Enum):
    """How an arm compares with its controls."""

    UNKNOWN = "no controls, or nothing measured"
    WITHIN = "within their range"
    CLOSE = "just outside their range: too close to call"
    LOWER = "clearly below their range"
    HIGHER = "clearly above their range"


def compare(arm: Spread, controls: Spread, floor: float) -> Finding:
    """Compare an arm with the range of its controls, by the rule above.

    Args:
        arm: all its draws must be outside the range to count.
        controls: of all that it is compared with.
        floor: smallest difference that counts.
    """
    if not (arm.known and controls.known):
        return Finding.UNKNOWN
    margin = max(controls.high - controls.low, floor)
    below, above = controls.low - arm.high, arm.low - controls.high
    if max(below, above) <= 0:
        return Finding.WITHIN
    if max(below, above) <= margin:
        return Finding.CLOSE
    return Finding.LOWER if below > 0 else Finding.HIGHER


@dataclass(frozen=True)
class Controls:
    """The random arms that an arm is measured against, merged.

    Attributes:
        draws: runs in all.
        area: of these runs.
        probe: of these runs.
        icl: of these runs.
        overlap: mean share of their rows that the judged arm has too; NaN if none is
            meant.
    """

    draws: int
    area: Spread
    probe: Spread
    icl: Spread
    overlap: float


def domain_controls(arm: Arm, arms: Mapping[str, Arm], rows: str) -> Controls | None:
    """The arms of a kind that follow the domains of a judged arm; None without any."""
    alike = [other for other in arms.values() if _alike(other, arm)]
    found = [a for a in alike if (a.rows, a.target) == (rows, arm.target)]
    return _merged(found) if found else None


def _alike(one: Arm, other: Arm) -> bool:
    return (one.action, one.fraction) == (other.action, other.fraction)


def _merged(arms: Sequence[Arm]) -> Controls:
    draws = [arm.draws for arm in arms]
    return Controls(
        draws=sum(draws),
        area=_joined([arm.area for arm in arms], draws),
        probe=_joined([arm.probe for arm in arms], draws),
        icl=_joined([arm.icl for arm in arms], draws),
        overlap=float(np.average([arm.overlap for arm in arms], weights=draws)),
    )


def _joined(spreads: Sequence[Spread], draws: Sequence[int]) -> Spread:
    """The spread over all draws of several arms."""
    mean = float(np.average([spread.mean for spread in spreads], weights=draws))
    low = min(spread.low for spread in spreads)
    return Spread(low, mean, max(spread.high for spread in spreads))


@dataclass(frozen=True)
class Judgement:
    """An arm's finding on the head's rise, the probe and in-context learning.

    Attributes:
        controls: the random draws it was compared with.
        area: how the head's rise compares.
        probe: how the probe compares, which the scores of rows predict.
        icl: how the ICL score at the end compares; lower = more is learned.
    """

    controls: Controls | None
    area: Finding
    probe: Finding
    icl: Finding


def judge(arm: Arm, arms: Mapping[str, Arm]) -> Judgement:
    """Compare an arm with random draws and baseline."""
    alike = [other for other in arms.values() if _alike(other, arm)]
    random = [other for other in alike if other.has("chance")]
    if not random:
        return Judgement(None, *[Finding.UNKNOWN] * 3)
    unchanged = _merged([*random, arms[BASELINE]])
    return Judgement(
        _merged(random),
        compare(arm.area, unchanged.area, AREA_FLOOR),
        compare(arm.probe, unchanged.probe, PROBE_FLOOR),
        compare(arm.icl, unchanged.icl, ICL_FLOOR),
    )


def domain_share(arm: Spread, random: Spread, domain: Spread) -> float:
    """The part of a judged arm's effect that random rows of its domains have, too."""
    return (random.mean - domain.mean) / (random.mean - arm.mean)
