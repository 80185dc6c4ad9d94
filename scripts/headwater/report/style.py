"""How the figures look, and how they are saved: the same data gives the same bytes."""

import textwrap
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.publish import publish_file

WIDTH = 1600 / 150  # inches: 1600 pixels at 150 a inch
DPI = 150
TITLE_LETTERS, LINE_LETTERS = 78, 124  # that fit beside each other
INK, FAINT, SHADE = "#1a1a1a", "#5f5f5f", "#e9e9e9"
TOP_COLOUR, LOW_COLOUR, ALL_COLOUR = "#2166ac", "#b2182b", "#b5b5b5"  # of rows
PLAIN_MAP, SIGNED_MAP = "Blues", "PuOr_r"  # of scores from 0 to 1, and from -1

_SETTINGS = {
    "svg.hashsalt": "headwater",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,  # names of domains may hold any letter
    "text.color": INK,
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "lines.solid_capstyle": "round",
}


def applied(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Drawing and saving inside this context depend on no setting of the machine's.

    Args:
        more: matplotlib's settings that differ from those of the large figures.
    """
    return matplotlib.style.context(["default", {**_SETTINGS, **(more or {})}])


def heading(figure: Figure, title: str, paragraph: str) -> None:
    """Title and explanation at the top left of a figure; about 0.2 inches a line."""
    height = figure.get_figheight()
    figure.text(
        *(0.3 / WIDTH, 1 - 0.18 / height, title),
        fontsize=min(15, 15 * TITLE_LETTERS / len(title)),
        fontweight="bold",
        verticalalignment="top",
    )
    figure.text(
        *(0.3 / WIDTH, 1 - 0.56 / height, textwrap.fill(paragraph, LINE_LETTERS)),
        color=FAINT,
        linespacing=1.35,
        verticalalignment="top",
    )


def axes_at(
    figure: Figure, left: float, top: float, width: float, height: float
) -> Axes:
    """Axes at a place given in inches from the figure's top left corner."""
    whole = figure.get_figheight()
    return figure.add_axes(
        (left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole)
    )


def save_figure(figure: Figure, png: Path, svg: Path) -> None:
    """Publish a figure in both formats, without dates or version marks."""
    with publish_file(png) as part:
        figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
    with publish_file(svg) as part:
        nothing = {"Date": None, "Creator": None}
        figure.savefig(part, format="svg", metadata=nothing)
