"""The figure of a study: every judged arm beside its controls, member by member."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.evaluation.verdicts import controls_of
from headwater.interventions.runs import BASELINE
from headwater.report import claims, style
from headwater.report.lines import BASELINE_LINE, arm_lines
from headwater.study.results import Study

PANEL, GAP, TOP = 3.0, 1.55, 1.5  # inches
LABEL_LETTERS = 118  # that fit under a panel beside each other


def draw(study: Study, verdicts: pd.DataFrame) -> Figure:
    """Area of each judged arm and of its controls; a line joins those of one member."""
    judged = list(dict.fromkeys(verdicts["arm"]))
    height = TOP + max(1, len(judged)) * (PANEL + GAP)
    figure = Figure(figsize=(style.WIDTH, height))
    many = len(study.judged)
    style.heading(
        figure,
        f"Do the rows matter more than their controls? {many} members of a study",
        "Each line is one member: a whole training with a head and a choice of rows of "
        "its own. Points: the area under the head's curve in the window, in % of the "
        "same member's baseline, for the arm (left) and its controls. Below: the mean "
        "of arm minus control in points, its 95 % interval, and the verdict.",
    )
    for place, arm in enumerate(judged):
        axes = style.axes_at(
            figure, 0.9, TOP + place * (PANEL + GAP), style.WIDTH - 1.3, PANEL
        )
        _draw_arm(axes, study, verdicts, str(arm))
    return figure


def _draw_arm(axes: Axes, study: Study, verdicts: pd.DataFrame, arm: str) -> None:
    arms = study.config["arms"]
    names = [arm, *controls_of(arm, arms)]
    lines = arm_lines(arms)
    target = arms[arm].get("target")
    other = None if target == study.config["window"]["target"] else target
    table = pd.DataFrame([member.areas(other) for member in study.judged])
    values = 100 * table.reindex(columns=[*names, BASELINE]).to_numpy(float)
    places = np.arange(len(names) + 1)
    for row in values:
        axes.plot(places, row, color="#b5b5b5", linewidth=1.1, zorder=2)
    colours = [lines[name].colour for name in names] + [BASELINE_LINE.colour]
    for place, colour in enumerate(colours):
        points = values[:, place]
        axes.scatter([place] * len(points), points, color=colour, s=34, zorder=3)
    axes.set_xlim(-0.5, len(names) + 0.5)
    axes.set_xticks(places, _labels(verdicts, arm, [*names, BASELINE]), fontsize=9)
    axes.set_ylabel("area, % of the baseline's")
    axes.set_title(
        claims.doing(arms[arm]) + (f": the head of {other}" if other else "")
    )


def _labels(verdicts: pd.DataFrame, arm: str, names: list[str]) -> list[str]:
    found = verdicts[(verdicts["metric"] == "area") & (verdicts["arm"] == arm)]
    by_control = found.set_index("control")
    letters = LABEL_LETTERS // len(names) - 1
    labels = []
    for name in names:
        parts = [name.replace("_", "_ ")]  # where a name may be broken
        if name in by_control.index:
            line = by_control.loc[name]
            effect, _, interval = claims.amount(line, "area").partition(" ")
            parts += filter(None, [effect, interval, str(line["verdict"])])
        label = "\n".join(textwrap.fill(part, letters) for part in parts)
        labels.append(label.replace("_ ", "_"))
    return labels
