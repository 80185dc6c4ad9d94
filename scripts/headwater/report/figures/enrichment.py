"""Where each target's top rows come from.

Table: target, domain, share (of the window's rows), share_top (of the top 10 %),
enrichment (one divided by the other).
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.report import style, words
from headwater.report.figures.base import Results, Size, Subject, panels
from headwater.report.visible import plain

COLUMNS = ["domain", "share", "share_top", "enrichment"]
BAR, LETTERS = 0.3, 18  # inches a domain; of its name


def table(results: Results) -> pd.DataFrame:
    """Domains of every target, those of most enrichment first."""
    parts = []
    for name, domains in results.domains.items():
        part = domains.sort_values(["enrichment", "domain"], ascending=[False, True])
        parts.append(part[COLUMNS].assign(target=name))
    return pd.concat(parts)[["target", *COLUMNS]]


def draw(found: pd.DataFrame, subject: Subject, size: Size) -> Figure:
    """Two bars a domain: its share of the top rows, and of all."""
    targets = list(found["target"].unique())
    many = found["domain"].nunique()
    figure, axes = panels(size, len(targets), 0.7 + BAR * many, across=2)
    highest = float(found[["share", "share_top"]].max().max())
    for name, panel in zip(targets, axes, strict=True):
        _draw_target(panel, found[found["target"] == name], highest)
        panel.set_title(f"{subject.choice.targets[name].name} ({name})")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _draw_target(axes: Axes, found: pd.DataFrame, highest: float) -> None:
    places = np.arange(len(found))
    for shift, column, colour, label in (
        (-0.19, "share_top", style.TOP_COLOUR, "of the top 10 % of rows"),
        (0.19, "share", style.ALL_COLOUR, "of all rows of the window"),
    ):
        shares = 100 * found[column]
        axes.barh(places + shift, shares, 0.36, color=colour, label=label)
    for place, share, ratio in zip(
        places, found["share_top"], found["enrichment"], strict=True
    ):
        if np.isfinite(ratio):
            spot = (100 * share, place - 0.19)
            axes.annotate(
                *(words.factor(ratio), spot),
                xytext=(2, 0),
                textcoords="offset points",
                fontsize=7,
                verticalalignment="center",
            )
    names = [plain(str(name)) for name in found["domain"]]
    short = [n if len(n) <= LETTERS else n[: LETTERS - 1] + "…" for n in names]
    axes.set_yticks(places, short)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, 115 * highest)
    axes.set_xlabel("share of the rows, %")
    axes.grid(visible=False, axis="y")
