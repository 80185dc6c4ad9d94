"""Every judged arm above its controls, draw by draw.

Table: judged, arm, role, measure, draw, value. An arm that is a control of several
judged ones stands below each. `role`: of its kind of rows, `none` where one has
no control.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.evaluation.verdicts import claims, controls_of
from headwater.interventions.kinds import KINDS
from headwater.report import style
from headwater.report.figures.base import Results, Size, Subject, panels
from headwater.report.lines import arm_lines

# Measure: column, factor, value of no effect, and its axis.
MEASURES = {
    "area": ("area_ratio", 100.0, 100.0, "area, % of the baseline's"),
    "half_way": ("onset_shift", 1.0, 0.0, "half-way, steps later"),
    "probe": ("probe_change", 1.0, 0.0, "probe, change of its mean"),
}
LINE = 0.17  # inches an arm
NO_CONTROL = "none"


def table(results: Results) -> pd.DataFrame:
    """Every draw of judged arms and controls; a value that is unknown is empty."""
    lines = [
        (judged, arm, role, measure, int(run["draw"]), factor * float(run[column]))
        for judged, arm, role in _places(results.subject)
        for _, run in results.effects[results.effects["arm"] == arm].iterrows()
        for measure, (column, factor, _, _) in MEASURES.items()
    ]
    lines += [
        (judged, "", role, measure, 0, np.nan)
        for judged, arm, role in _places(results.subject)
        if role == NO_CONTROL
        for measure in MEASURES
    ]
    columns = ["judged", "arm", "role", "measure", "draw", "value"]
    return pd.DataFrame(lines, columns=columns)


def _places(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Judged arm, arm in its group, and what that is there for."""
    arms, target = subject.arms, subject.window_target
    for judged in dict.fromkeys(claim.arm for claim in claims(arms, target)):
        controls = controls_of(judged, arms)
        for arm in (judged, *controls):
            yield judged, arm, KINDS[arms[arm]["rows"]].role
        if not controls:
            yield judged, "", NO_CONTROL


def draw(found: pd.DataFrame, subject: Subject, size: Size) -> Figure:
    """A panel a measure: points are draws, a bar their mean, a line no effect."""
    places = list(found[["judged", "arm"]].drop_duplicates().itertuples(index=False))
    height = 0.65 + LINE * len(places)
    figure, axes = panels(size, len(MEASURES), max(height, 1.0), beside=0.0)
    for number, (measure, panel) in enumerate(zip(MEASURES, axes, strict=True)):
        _draw_measure(panel, found[found["measure"] == measure], places, subject)
        _, _, nothing, label = MEASURES[measure]
        panel.axvline(nothing, color=style.INK, linewidth=0.7)
        panel.set_xlabel(label)
        if number % size.across:
            panel.set_yticklabels([])
    return figure


def _draw_measure(
    axes: Axes, found: pd.DataFrame, places: list[tuple[str, str]], subject: Subject
) -> None:
    lines = arm_lines(subject.arms)
    for height, (judged, arm) in enumerate(places):
        mine = found[(found["judged"] == judged) & (found["arm"] == arm)]
        values = mine["value"].to_numpy(float)
        known = values[np.isfinite(values)]
        if judged == arm and height:
            axes.axhline(height - 0.5, color=style.ALL_COLOUR, linewidth=0.5)
        if len(known):
            colour = lines[arm].colour
            axes.plot([known.min(), known.max()], [height] * 2, color=colour)
            axes.plot(known, [height] * len(known), "o", color=colour, markersize=3)
            if len(known) == len(values):  # else a mean would be that of the lucky
                axes.plot(known.mean(), height, "|", color=colour, markersize=9)
        elif arm:
            axes.annotate("unknown", (axes.get_xlim()[0], height), fontsize=6)
    names = [arm or "no control" for _, arm in places]
    axes.set_yticks(range(len(places)), names)
    for label, (judged, arm) in zip(axes.get_yticklabels(), places, strict=True):
        label.set_fontweight("bold" if judged == arm else "normal")
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
