"""The figure of the causal test: curves of all arms over the window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headwater.corpus.domains import NATURAL
from headwater.evaluation.effects import series
from headwater.heads.targets import Choice, Target, curve_of
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import BASELINE, runs_of
from headwater.report import findings, style, words
from headwater.report.lines import BASELINE_LINE, CurveStyle, arm_lines
from headwater.report.tables import Arms, main_domain

FEW_POINTS = 8  # curves with no more points than this show each of them
LEGEND_LINE, LEGEND_LETTERS = 0.27, 52  # inches; letters of a label that fit
LEAST_HEIGHT = 0.1  # of a panel, in units of its score


@dataclass(frozen=True)
class CausalTest:
    """What the figure shows.

    Attributes:
        window_target: name of the target whose head the arms are measured on.
        labels: every arm in words.
        domains: domain table of every target.
        scores: every head at every checkpoint of the baseline.
        runs: long table of every run, by name.
        planted: name of the generated domain, if there is one.
    """

    choice: Choice
    window_target: str
    arms: Arms
    labels: Mapping[str, str]
    domains: Mapping[str, pd.DataFrame]
    scores: pd.DataFrame
    runs: Mapping[str, pd.DataFrame]
    planted: str | None

    @property
    def target(self) -> Target:
        """The target whose head the arms are measured on."""
        return self.choice.targets[self.window_target]

    def curve(self, run: str, metric: str, kind: str, name: str) -> pd.Series:
        """A run's values over the window, by step."""
        window = self.choice.window
        found = series(self.runs[run], metric, kind, name)
        return found.loc[window.start : window.end]


def draw(data: CausalTest) -> Figure:
    """Head score and ICL score of all runs, the whole baseline run, and a legend."""
    notes = _notes(data)
    bottom = LEGEND_LINE * (len(data.arms) + len(notes) + 2)
    figure = Figure(figsize=(style.WIDTH, 5.85 + max(bottom, 2.0)))
    style.heading(figure, _title(data), _explanation(data))
    score = style.axes_at(figure, 0.75, 1.9, 4.3, 3.1)
    learning = style.axes_at(figure, 6.05, 1.9, 4.3, 3.1)
    whole = style.axes_at(figure, 0.75, 5.9, 4.3, 1.5)
    legend = style.axes_at(figure, 5.5, 5.65, 4.85, bottom)
    _draw_score(score, data)
    _draw_learning(learning, data)
    _draw_whole_run(whole, data)
    _draw_legend(legend, data, notes)
    return figure


def _title(data: CausalTest) -> str:
    how = words.listed(ACTIONS[arm["action"]].verb for arm in data.arms.values())
    return f"Which training rows build {data.target.name}? Tested by {how} them"


def _explanation(data: CausalTest) -> str:
    window = data.choice.window
    text = (
        "A head is a small part of a language model; a row is a piece of its training "
        "text. Black: the model was trained once. Colours: a part of that training, "
        f"steps {window.start:,} to {window.end:,} (the window), "
        "was repeated with some rows changed. Mechanistic Data Attribution (MDA) had "
        "ranked the rows by how much they help the head. If it is right, top rows "
        "matter more than random ones"
    )
    if any(KINDS[arm["rows"]].explains for arm in data.arms.values()):
        text += ", and more than other rows like them"
    return f"{text}. {words.how_chosen(data.target, data.choice)}"


def _notes(data: CausalTest) -> list[str]:
    """What the legend must add to its labels."""
    notes = _cautions(data)
    if any(len(runs_of(arm, data.runs)) > 1 for arm in data.arms):
        notes.append("Thin lines are random draws, the thicker one is their mean")
    used = {arm[key] for arm in data.arms.values() for key in ("action", "rows")}
    told = (ACTIONS | KINDS).items()
    notes += [row.note for name, row in told if name in used and row.note]
    domains = data.domains[data.window_target]
    if main_domain(domains) == data.planted:
        share = f"{100 * domains['share_top'].max():.0f} %"
        of_them = f"{share} of the top rows are '{data.planted}'"
        notes.append(f"{of_them}: a generated, planted domain")
    return notes


def _cautions(data: CausalTest) -> list[str]:
    target = data.target
    whole = series(data.runs[BASELINE], target.score, "head", target.head)
    rise = findings.rise_of(whole, data.choice, data.target)
    if rise.in_window:
        return []
    what = "It rose too little here" if rise.emerged else "No head emerged"
    return [f"{what}: read no effect into these curves"]


def _draw_score(axes: Axes, data: CausalTest) -> None:
    head, score = data.target.head, data.target.score
    _draw_runs(axes, data, score, "head", head)
    axes.set_title(_broken(f"How much head {head} {words.SCORE_MEANINGS[score]}"))
    axes.set_ylabel(f"{words.SCORE_NAMES[score]} ({words.SCORE_RANGES[score]})")
    _no_smaller(axes)
    if axes.get_ylim()[0] < 0 <= min(_lowest(line) for line in axes.lines):
        axes.set_ylim(bottom=0)


def _draw_learning(axes: Axes, data: CausalTest) -> None:
    _draw_runs(axes, data, "icl", "group", NATURAL)
    if data.curve(BASELINE, "icl", "group", NATURAL).empty:
        axes.text(0.03, 0.5, words.NO_ICL, transform=axes.transAxes, wrap=True)
    axes.set_title(
        "How much the model learns from context\n"
        "(held-out natural text; lower = learns more)"
    )
    axes.set_ylabel("ICL score: late minus early loss (nats)")
    _no_smaller(axes)


def _no_smaller(axes: Axes) -> None:
    """Do not blow up small differences to the height of the panel."""
    low, high = axes.get_ylim()
    missing = LEAST_HEIGHT - (high - low)
    if missing > 0:
        axes.set_ylim(low - missing / 2, high + missing / 2)


def _broken(title: str, width: int = 48) -> str:
    """A title on two lines of about equal length, if one is too long."""
    if len(title) <= width:
        return title
    spaces = [place for place, letter in enumerate(title) if letter == " "]
    middle = min(spaces, key=lambda place: abs(place - 0.55 * len(title)))
    return f"{title[:middle]}\n{title[middle + 1 :]}"


def _draw_runs(axes: Axes, data: CausalTest, metric: str, kind: str, name: str) -> None:
    lines = arm_lines(data.arms)
    for order, arm in enumerate(sorted(data.arms, key=lambda arm: lines[arm].width)):
        runs = runs_of(arm, data.runs)
        curves = {run: data.curve(run, metric, kind, name) for run in runs}
        _draw_arm(axes, curves, lines[arm], f"{metric}-", 3 + order)
    baseline = {BASELINE: data.curve(BASELINE, metric, kind, name)}
    _draw_arm(axes, baseline, BASELINE_LINE, f"{metric}-", 3 + len(data.arms))
    window = data.choice.window
    axes.set_xlim(window.start, window.end)
    axes.set_xlabel("training step")


def _draw_arm(
    axes: Axes,
    curves: Mapping[str, pd.Series],
    line: CurveStyle,
    prefix: str,
    order: int,
) -> None:
    """A line for each run, and a stronger one for the mean of several."""
    options = line.options()
    if any(len(curve) <= FEW_POINTS for curve in curves.values()):
        options["marker"] = line.marker or "."
    if len(curves) > 1:
        mean = pd.concat(curves.values(), axis=1).mean(axis=1, skipna=False)
        axes.plot(mean.index, mean, zorder=order + 0.5, **options)
        thin = {"linewidth": 0.9, "linestyle": "solid", "alpha": 0.55, "marker": ""}
        options = options | thin
    for run, curve in curves.items():
        axes.plot(curve.index, curve, gid=prefix + run, zorder=order, **options)


def _lowest(line: Line2D) -> float:
    values = np.array(line.get_ydata(), dtype=np.float64)
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else 0.0


def _draw_whole_run(axes: Axes, data: CausalTest) -> None:
    target, window = data.target, data.choice.window
    axes.axvspan(window.start, window.end, color=style.SHADE, zorder=0)
    for head in sorted(set(data.scores["head"]) - {target.head}):
        axes.plot(*_curve(data, head), color="#a8a8a8", linewidth=0.9)
    axes.plot(*_curve(data, target.head), **BASELINE_LINE.options())
    axes.set_title("The whole first run (grey: all other heads)")
    axes.set_ylabel("the same score")
    axes.set_xlabel("training step (shaded: the part that was trained again)")
    axes.set_xlim(0, data.scores["step"].max())
    _no_smaller(axes)


def _curve(data: CausalTest, head: str) -> tuple[list[int], list[float]]:
    curve = curve_of(data.scores, head, data.target.score)
    return [step for step, _ in curve], [value for _, value in curve]


def _draw_legend(axes: Axes, data: CausalTest, notes: Sequence[str]) -> None:
    """Lines in words, in the order in which the head's curves end."""
    lines = {BASELINE: BASELINE_LINE, **arm_lines(data.arms)}
    labels = {BASELINE: "baseline: nothing changed", **data.labels}
    order = sorted(lines, key=lambda arm: _final_score(arm, data), reverse=True)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(order) + len(notes) + 0.5, -0.5)
    title = "From the highest to the lowest head score at the end"
    axes.text(0, 0, title, fontsize=11, fontweight="bold", verticalalignment="center")
    longest = max(map(len, labels.values()))
    size = min(10, 10 * LEGEND_LETTERS / longest)
    for y, arm in enumerate(order, start=1):
        options = lines[arm].options()
        axes.plot([0.005, 0.045, 0.085], [y] * 3, clip_on=False, **options)
        axes.text(0.105, y, labels[arm], fontsize=size, verticalalignment="center")
    for y, note in enumerate(notes, start=len(order) + 1):
        axes.text(0, y, note, color=style.FAINT, verticalalignment="center")


def _final_score(arm: str, data: CausalTest) -> float:
    names = [BASELINE] if arm == BASELINE else runs_of(arm, data.runs)
    head, score = data.target.head, data.target.score
    finals = [data.curve(name, score, "head", head).iloc[-1:] for name in names]
    mean = float(pd.concat(finals).mean()) if finals else float("nan")
    return mean if np.isfinite(mean) else float("-inf")
