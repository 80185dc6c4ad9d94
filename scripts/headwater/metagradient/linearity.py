"""The gate: how far predictions by the metagradient hold, on one random group of rows.

That a derivative is right says nothing of how far it reaches. So the window is trained
again with the group's weights a little lower, lower, and 0.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

WEIGHTS = (0.995, 0.95, 0.0)
RIGHT = (0.5, 2.0)  # ratio of what is predicted to what is found
SHARE = 0.1  # of the window's rows

Columns = list[str]
COLUMNS: Columns = ["target", "weight", "rows", "predicted", "found", "ratio"]


def group_of(rows: int, generator: np.random.Generator) -> Int[np.ndarray, " group"]:
    """Numbers of the rows whose weights are changed, ascending."""
    count = max(1, round(SHARE * rows))
    return np.sort(generator.choice(rows, size=count, replace=False))


def line_of(
    target: str,
    weight: float,
    scores: Float[np.ndarray, " group"],
    before: float,
    after: float,
) -> list[object]:
    """One line of the table.

    Args:
        scores: of the group's rows.
        before: F of the baseline; `after` of the training with the group's weights.
    """
    predicted = (weight - 1) * float(scores.astype(np.float64).sum())
    found = after - before
    ratio = predicted / found if found else float("nan")
    return [target, weight, len(scores), predicted, found, ratio]


def linearity_table(lines: list[list[object]]) -> pd.DataFrame:
    """Predicted and real change of F, a line for each target and weight."""
    return pd.DataFrame(lines, columns=COLUMNS)


def unpredicted(table: pd.DataFrame) -> Iterator[str]:
    """A line for each target whose scores do not even predict the least change."""
    least = table[table["weight"] == max(WEIGHTS)]
    for line in least[~least["ratio"].between(*RIGHT)].itertuples():
        yield (
            f"{line.target}: a random tenth of the rows x {line.weight:g} changed F by "
            f"{line.found:.3g} where {line.predicted:.3g} was predicted: over this "
            "window the scores say nothing; take metagradient_segments, a shorter "
            "window, or training.precision: fp32"
        )
