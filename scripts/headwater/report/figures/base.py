"""What figures for papers have in common: sizes, panels, and how they are saved."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.heads.targets import Choice, Target
from headwater.publish import publish_file
from headwater.report import style
from headwater.report.tables import Arms

NO_DATES = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_SETTINGS = {
    "pdf.fonttype": 42,  # journals refuse the others
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.linewidth": 0.4,
    "legend.fontsize": 7,
    "legend.frameon": False,
}
LINES = 0.55  # of the width that curves have in the figure for the README


@dataclass(frozen=True)
class Size:
    """How wide a figure is.

    Attributes:
        width: inches.
        across: panels that stand beside each other.
        suffix: of the names of its files.
    """

    width: float
    across: int
    suffix: str


PAGE, COLUMN = Size(7.0, 3, ""), Size(3.35, 1, "-column")
SIZES = (PAGE, COLUMN)


@dataclass(frozen=True)
class Subject:
    """Whom a figure is about.

    Attributes:
        choice: the window, and the unit of every target.
        window_target: name of the target whose head the arms are measured on.
        arms: settings of the arms that claim something.
        labels: every arm in words.
    """

    choice: Choice
    window_target: str
    arms: Arms = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """The target whose head the arms are measured on."""
        return self.choice.targets[self.window_target]


@dataclass(frozen=True)
class Results:
    """What an experiment found.

    Attributes:
        heads: `heads/scores.tsv`.
        domains: `influence/<target>.domains.tsv` of every target.
        influence: every target's score of every row of the window.
        runs: long table of every run, by name; none without arms.
        effects: `evaluation/effects.tsv`, likewise.
    """

    subject: Subject
    heads: pd.DataFrame
    domains: Mapping[str, pd.DataFrame]
    influence: Mapping[str, Float32[np.ndarray, " rows"]]
    runs: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)


def applied() -> AbstractContextManager[None]:
    """Inside this context figures are drawn and saved as papers want them."""
    return style.applied(_SETTINGS)


def panels(
    size: Size, count: int, height: float, across: int = 0, beside: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, beside each other where the size allows.

    Args:
        height: of a panel with its labels, inches.
        across: panels in a line at most, 0 for what the size allows.
        beside: height of what stands besides them, such as a legend, inches.
    """
    columns = min(count, size.across, across or size.across)
    lines = -(-count // columns)
    figure = Figure(figsize=(size.width, lines * height + beside), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def save(figure: Figure, stem: Path) -> None:
    """Publish a figure as SVG and PDF, without dates or version marks.

    Args:
        stem: path of the files without the end.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # done: the same in both formats
    for form, nothing in NO_DATES.items():
        with publish_file(stem.with_name(f"{stem.name}.{form}")) as part:
            figure.savefig(part, format=form, metadata=nothing, dpi=600)
