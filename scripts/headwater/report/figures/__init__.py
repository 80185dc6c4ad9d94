"""Figures for papers, one file each: a table, and how it is drawn.

    report/figures/<name>.tsv                 what is drawn, and no more
    report/figures/<name>.svg, .pdf           over two columns of a page
    report/figures/<name>-column.svg, .pdf    in one

A figure is drawn from its table, so the same table gives the same figure: the numbers
beside a plot are those in it. Colours are those of all figures (`interventions/kinds`,
`report/style`). No figure says what it shows: that is the caption's task.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from headwater.report.figures import census, effects, emergence, enrichment, scores
from headwater.report.figures.base import Results, Size, Subject


@dataclass(frozen=True)
class PaperFigure:
    """One figure.

    Attributes:
        table: all that it shows, from an experiment's results.
        draw: the table in a size; the subject names and colours what is in it.
    """

    table: Callable[[Results], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Subject, Size], Figure]


FIGURES = {
    "census": PaperFigure(census.table, census.draw),
    "enrichment": PaperFigure(enrichment.table, enrichment.draw),
    "scores": PaperFigure(scores.table, scores.draw),
    "emergence": PaperFigure(emergence.table, emergence.draw),
    "effects": PaperFigure(effects.table, effects.draw),
}
