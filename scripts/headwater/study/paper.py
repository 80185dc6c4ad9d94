"""A study's figure for papers: every judged arm beside its controls, member by member.

Table: judged, arm, member, area (% of the same member's baseline).
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.evaluation.verdicts import controls_of
from headwater.interventions.runs import BASELINE
from headwater.report import claims, style
from headwater.report.figures.base import Size, panels
from headwater.report.lines import BASELINE_LINE, arm_lines
from headwater.report.tables import Arms
from headwater.study.results import Study

LINE = 0.17  # inches an arm
COLUMNS = ["judged", "arm", "member", "area"]


def table(study: Study, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Areas of every member whose arms count; empty where one is unknown."""
    arms, lines = study.config["arms"], []
    for judged in dict.fromkeys(verdicts["arm"]):
        target = arms[judged].get("target")
        other = None if target == study.config["window"]["target"] else target
        for member in study.judged:
            areas = 100 * member.areas(other)
            for arm in (judged, *controls_of(judged, arms), BASELINE):
                lines.append((judged, arm, member.name, areas.get(arm, np.nan)))
    return pd.DataFrame(lines, columns=COLUMNS)


def draw(found: pd.DataFrame, arms: Arms, size: Size) -> Figure:
    """A panel a judged arm: points are members, joined by a line each."""
    judged = list(found["judged"].unique())
    most = max(
        (found[found["judged"] == arm]["arm"].nunique() for arm in judged), default=1
    )
    height = 0.75 + LINE * max(4, most)
    figure, axes = panels(size, max(1, len(judged)), height, across=2, beside=0.0)
    for arm, panel in zip(judged, axes, strict=False):
        _draw_arm(panel, found[found["judged"] == arm], arms)
        panel.set_title(claims.doing(arms[arm]))
    return figure


def _draw_arm(axes: Axes, found: pd.DataFrame, arms: Arms) -> None:
    lines = {**arm_lines(arms), BASELINE: BASELINE_LINE}
    names = list(found["arm"].unique())
    values = found.pivot(index="arm", columns="member", values="area").loc[names]
    places = np.arange(len(names))
    for member in values:
        axes.plot(values[member], places, color=style.ALL_COLOUR, linewidth=0.6)
    for place, name in enumerate(names):
        points = values.loc[name].to_numpy(float)
        colour = lines[name].colour
        axes.plot(points, [place] * len(points), "o", color=colour, markersize=3)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("area, % of the baseline's")
    axes.grid(visible=False, axis="y")
