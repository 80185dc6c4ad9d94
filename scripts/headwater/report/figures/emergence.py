"""The causal test: curves of the baseline and of every arm over the window.

Table: panel, arm, run, step, value.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headwater.corpus.domains import NATURAL
from headwater.evaluation.effects import series
from headwater.heads.targets import PROBE_VALUE
from headwater.interventions.runs import BASELINE, runs_of
from headwater.report import words
from headwater.report.figures.base import LINES, Results, Size, Subject, panels
from headwater.report.lines import BASELINE_LINE, CurveStyle, arm_lines

HEIGHT, LEGEND_LINE = 1.9, 0.15  # inches
LETTERS = 44  # of a label in the legend


def _curves(subject: Subject) -> dict[str, tuple[str, str, str]]:
    """What is drawn: metric, kind and name in the tables of the runs."""
    name, target = subject.window_target, subject.target
    found = {"score": target.series_in(name)}
    if not (target.probe == target.score and target.unit == target.head):
        found["probe"] = (PROBE_VALUE, "target", name)
    return {**found, "icl": ("icl", "group", NATURAL)}


def table(results: Results) -> pd.DataFrame:
    """Values of every run over the window; what was not measured has no line."""
    subject = results.subject
    window, parts = subject.choice.window, []
    for panel, curve in _curves(subject).items():
        for arm, run in _runs(subject, results):
            found = series(results.runs[run], *curve).loc[window.start : window.end]
            part = found.dropna().rename("value").reset_index()
            parts.append(part.assign(panel=panel, arm=arm, run=run))
    return pd.concat(parts)[["panel", "arm", "run", "step", "value"]]


def _runs(subject: Subject, results: Results) -> Iterator[tuple[str, str]]:
    yield BASELINE, BASELINE
    for arm in subject.arms:
        for run in runs_of(arm, results.runs):
            yield arm, run


def draw(found: pd.DataFrame, subject: Subject, size: Size) -> Figure:
    """A panel each for the unit's score, its probe and in-context learning."""
    lines = {BASELINE: BASELINE_LINE, **arm_lines(subject.arms)}
    shown = [name for name in _curves(subject) if (found["panel"] == name).any()]
    columns = min(2, size.across)
    told = ["baseline", *(subject.labels[arm] for arm in subject.arms)]
    labels = [textwrap.fill(label, LETTERS) for label in told]
    legend = LEGEND_LINE * -(-"\n".join(labels).count("\n") // columns) + 0.25
    figure, axes = panels(size, len(shown), HEIGHT, beside=legend)
    for name, panel in zip(shown, axes, strict=True):
        _draw_panel(panel, found[found["panel"] == name], lines)
        panel.set_title(_title(name, subject))
        window = subject.choice.window
        panel.set_xlim(window.start, window.end)
        panel.set_xlabel("training step")
    handles = [Line2D([], [], **_options(line)) for line in lines.values()]
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _title(name: str, subject: Subject) -> str:
    target = subject.target
    if name == "icl":
        return "ICL score (nats; lower: more)"
    if name == "probe" or not target.head:
        return f"probe {target.probe} of {target.unit}"
    return f"{words.SCORE_NAMES[target.score]} of {target.head}"


def _draw_panel(axes: Axes, found: pd.DataFrame, lines: dict[str, CurveStyle]) -> None:
    """A line for each run, and a stronger one for the mean of several."""
    for arm in sorted(lines, key=lambda name: lines[name].width):
        runs = found[found["arm"] == arm].pivot(
            index="step", columns="run", values="value"
        )
        options = _options(lines[arm])
        if len(runs.columns) > 1:
            mean = runs.mean(axis=1, skipna=False)
            axes.plot(mean.index, mean, **options)
            options |= {"linewidth": 0.5, "alpha": 0.5, "marker": "", "linestyle": "-"}
        for run in runs:
            axes.plot(runs.index, runs[run], gid=str(run), **options)


def _options(line: CurveStyle) -> dict[str, Any]:
    thinner = {"linewidth": LINES * line.width, "markersize": 2.5}
    return {**line.options(), **thinner}
