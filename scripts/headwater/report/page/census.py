"""Section `census`: every head at every checkpoint, and when each one rose."""

from typing import Any

import numpy as np

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.heads.targets import curve_of, rising_window
from headwater.report import words
from headwater.report.page.inputs import Inputs
from headwater.report.page.values import Column

ROSE_BY = 0.1  # a smaller rise is none that a tick should mark


def heads_of(run: Inputs) -> list[str]:
    """All heads, layer by layer."""
    return [str(head) for head in sorted(map(Head.parse, run.heads["head"].unique()))]


def metrics_of(run: Inputs) -> list[str]:
    """The scores of heads that were taken."""
    return [name for name in words.SCORE_NAMES if name in run.heads]


def census(run: Inputs) -> dict[str, Any]:
    """What the map's axes are, and at which step each head began to rise."""
    ranges = {name: words.SCORE_RANGES[name].split(" to ") for name in metrics_of(run)}
    return {
        "metrics": [
            {
                "id": name,
                "title": words.SCORE_NAMES[name],
                "about": words.SCORE_MEANINGS[name],
                "low": float(low),
                "high": float(high),
            }
            for name, (low, high) in ranges.items()
        ],
        "steps": sorted(run.heads["step"].unique().tolist()),
        "heads": heads_of(run),
        "births": {name: _births(run, name) for name in ranges},
    }


def census_column(run: Inputs) -> Column:
    """The scores: float32 [metrics, steps, heads]."""
    grids = [
        run.heads.pivot(index="step", columns="head", values=name)[heads_of(run)]
        for name in metrics_of(run)
    ]
    return Column.of("census", "f32", np.stack([grid.to_numpy() for grid in grids]))


def _births(run: Inputs, metric: str) -> dict[str, int]:
    """By head, the step from which its score rises (`heads.targets`)."""
    found = {}
    for head in heads_of(run):
        curve = curve_of(run.heads, head, metric)
        values = [value for _, value in curve]
        if max(values) - min(values) < ROSE_BY:
            continue
        try:
            found[head] = rising_window(curve).start
        except HeadwaterError:  # it only falls
            continue
    return found
