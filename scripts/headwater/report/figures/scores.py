"""How the scores of a target's rows are spread, and how few rows hold most of them.

Table: target, curve, low, high, value. `rows`: a bar of the histogram from `low` to
`high`, and how many rows have such a score. `helping`, `hindering`: which share of all
positive (negative) score the share `high` of rows holds that has the highest (lowest).
"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.influence.ranking import held_by_most
from headwater.report import style
from headwater.report.figures.base import Results, Size, Subject, panels

BARS, PARTS = 20, 100  # on each side of 0; points of a curve
HEIGHT = 1.9
SIDES = {"helping": style.TOP_COLOUR, "hindering": style.LOW_COLOUR}
TOLD = 0.1  # share of rows whose share of the score is written


def table(results: Results) -> pd.DataFrame:
    """Histogram and concentration of every target's scores."""
    parts = []
    for name, scores in results.influence.items():
        known = scores[np.isfinite(scores)].astype(np.float64)
        for part in (_histogram(known), *_concentration(known)):
            parts.append(part.assign(target=name))
    return pd.concat(parts)[["target", "curve", "low", "high", "value"]]


def _histogram(scores: Float[np.ndarray, " rows"]) -> pd.DataFrame:
    """Bars of equal width on a scale that is straight near 0 and logarithmic beyond."""
    sizes = np.abs(scores[scores != 0])
    if not len(sizes):
        return _lines("rows", [0], [0], [len(scores)])
    unit = float(np.median(sizes))
    most = float(np.arcsinh(sizes.max() / unit))
    edges = unit * np.sinh(np.linspace(-most, most, 2 * BARS + 1))
    edges[[0, -1]] = -sizes.max(), sizes.max()
    counts, _ = np.histogram(scores, edges)
    return _lines("rows", edges[:-1], edges[1:], counts)


def _concentration(scores: Float[np.ndarray, " rows"]) -> list[pd.DataFrame]:
    shares = np.linspace(0, 1, PARTS + 1)
    count = np.rint(shares * len(scores)).astype(int)
    found = []
    for curve, sign in zip(SIDES, (1, -1), strict=True):
        held = held_by_most(np.clip(sign * scores, 0, None))
        if len(held):
            found.append(_lines(curve, 0 * shares, shares, held[count]))
    return found


def _lines(curve: str, low: object, high: object, value: object) -> pd.DataFrame:
    columns = {"low": low, "high": high, "value": value}
    return pd.DataFrame(columns, dtype=np.float64).assign(curve=curve)


def draw(found: pd.DataFrame, subject: Subject, size: Size) -> Figure:
    """Two panels a target: histogram, and the share that the strongest rows hold."""
    targets = list(found["target"].unique())
    figure, axes = panels(size, 2 * len(targets), HEIGHT, across=2, beside=0.0)
    for name, first, second in zip(targets, axes[::2], axes[1::2], strict=True):
        of_target = found[found["target"] == name].set_index("curve")
        _draw_histogram(first, of_target[of_target.index == "rows"])
        _draw_concentration(second, of_target)
        first.set_title(f"{subject.choice.targets[name].name} ({name})")
    return figure


def _draw_histogram(axes: Axes, bars: pd.DataFrame) -> None:
    axes.set_xlabel("score (positive: helps)")
    axes.set_ylabel("rows")
    if not bars["high"].any():
        axes.text(0.05, 0.5, "every score is 0", transform=axes.transAxes)
        return
    low, high = bars["low"].to_numpy(), bars["high"].to_numpy()
    helping, hindering = SIDES.values()
    colours = np.where(low < 0, hindering, helping)
    axes.bar(low, bars["value"], high - low, align="edge", color=colours)
    unit = _unit(high)
    axes.set_xscale("asinh", linear_width=unit)
    nearest = 10.0 ** np.ceil(np.log10(unit))
    decades = nearest * 10.0 ** np.arange(max(1, np.log10(high[-1] / nearest) + 1) // 1)
    ticks = [*-decades[::-1], 0.0, *decades]
    shown = [tick for tick in ticks if abs(tick) <= high[-1]]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.grid(visible=False, axis="x")


def _unit(ends: Float[np.ndarray, " bars"]) -> float:
    """What the scale is straight up to: edges are `unit * sinh(k * h)` for whole k."""
    first, second = ends[BARS], ends[BARS + 1]
    return float(first / np.sinh(np.arccosh(second / (2 * first))))


def _draw_concentration(axes: Axes, found: pd.DataFrame) -> None:
    for curve, colour in SIDES.items():
        points = found[found.index == curve]
        if points.empty:
            continue
        shares, held = points["high"].to_numpy(), points["value"].to_numpy()
        axes.plot(100 * shares, 100 * held, color=colour, linewidth=1.4)
        at = int(np.argmin(np.abs(shares - TOLD)))
        axes.plot(100 * shares[at], 100 * held[at], "o", color=colour, markersize=3)
        axes.text(
            *(0.98, 0.06 if curve == "hindering" else 0.18),
            f"{100 * shares[at]:.0f} % of rows: {100 * held[at]:.0f} % ({curve})",
            transform=axes.transAxes,
            fontsize=7,
            color=colour,
            horizontalalignment="right",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        )
    axes.plot([0, 100], [0, 100], color=style.ALL_COLOUR, linewidth=0.6)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 102)
    axes.set_xlabel("rows, % (the strongest first)")
    axes.set_ylabel("of all such score, %")
