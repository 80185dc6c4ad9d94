"""The census: every head's scores at every checkpoint of the baseline.

Table: metric, head, step, value.
"""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from headwater.report import style, words
from headwater.report.figures.base import Results, Size, Subject, panels

NAMED_HEADS = 32  # no more are named one by one; else layers are
FEW_CELLS = 4000  # of a map whose cells are drawn as shapes; else as pixels
LINE = 0.13  # inches a named head


def table(results: Results) -> pd.DataFrame:
    """Every score that a head is chosen by, one number a line."""
    metrics = [name for name in words.SCORE_NAMES if name in results.heads]
    long = results.heads.melt(
        ["head", "step"], metrics, var_name="metric", value_name="value"
    )
    return long[["metric", "head", "step", "value"]]


def draw(found: pd.DataFrame, subject: Subject, size: Size) -> Figure:
    """A map a score: heads from the first layer down, true steps to the right.

    Of one checkpoint layers downwards, and their heads to the right.
    """
    metrics, count = list(found["metric"].unique()), found["head"].nunique()
    if found["step"].nunique() == 1:
        count = len({_place(head)[0] for head in found["head"]})
    height = 0.75 + max(1.0, LINE * min(count, NAMED_HEADS))
    figure, axes = panels(size, len(metrics), height)
    for number, (metric, panel) in enumerate(zip(metrics, axes, strict=True)):
        _draw_map(panel, found[found["metric"] == metric], metric, subject)
        if number % size.across:
            panel.set_yticklabels([])
    return figure


def _draw_map(axes: Axes, found: pd.DataFrame, metric: str, subject: Subject) -> None:
    if found["step"].nunique() == 1:
        return _draw_model(axes, found, metric, subject)
    values = found.pivot(index="head", columns="step", values="value")
    values = values.loc[sorted(values.index, key=_place)]
    edges = _edges(values.columns.to_numpy(float))
    _draw_cells(axes, edges, values.to_numpy(float), metric)
    for step in (subject.choice.window.start, subject.choice.window.end):
        axes.axvline(step, color=style.INK, linewidth=0.6, linestyle=(0, (2, 2)))
    heads = list(values.index)
    for head in _target_heads(subject) & {*heads}:
        _frame(axes, edges[0], heads.index(head) - 0.5, edges[-1] - edges[0])
    _name_heads(axes, heads)
    axes.set_xlabel("training step")


def _draw_model(axes: Axes, found: pd.DataFrame, metric: str, subject: Subject) -> None:
    """Of one checkpoint: layers from the first down, a layer's heads to the right."""
    places = [_place(head) for head in found["head"]]
    shape = tuple(1 + np.max(places, axis=0))
    values = np.full(shape, np.nan)
    values[tuple(np.transpose(places))] = found["value"]
    _draw_cells(axes, np.arange(shape[1] + 1) - 0.5, values, metric)
    for head in _target_heads(subject) & {*found["head"]}:
        layer, number = _place(head)
        _frame(axes, number - 0.5, layer - 0.5, 1)
    every = -(-shape[0] // NAMED_HEADS)
    axes.set_yticks(*_named(range(0, shape[0], every), "L{}"))
    axes.set_xlabel("head of the layer")


def _named(numbers: Iterable[int], form: str) -> tuple[list[int], list[str]]:
    listed = list(numbers)
    return listed, [form.format(number) for number in listed]


def _draw_cells(axes: Axes, edges: np.ndarray, values: np.ndarray, metric: str) -> None:
    signed = words.SCORE_RANGES[metric].startswith("-")
    mesh = axes.pcolormesh(
        edges,
        np.arange(len(values) + 1) - 0.5,
        values,
        cmap=style.SIGNED_MAP if signed else style.PLAIN_MAP,
        vmin=-1 if signed else 0,
        vmax=1,
        rasterized=values.size > FEW_CELLS,
    )
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.colorbar(mesh, ax=axes, shrink=0.7, pad=0.02)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_title(words.SCORE_NAMES[metric])
    axes.grid(visible=False)


def _target_heads(subject: Subject) -> set[str]:
    return {target.head for target in subject.choice.targets.values()}


def _frame(axes: Axes, left: float, top: float, width: float) -> None:
    """A frame around a target's head."""
    corner = (left, top)
    frame = Rectangle(corner, width, 1, fill=False, linewidth=1.1, edgecolor=style.INK)
    axes.add_patch(frame)


def _name_heads(axes: Axes, heads: list[str]) -> None:
    if len(heads) <= NAMED_HEADS:
        axes.set_yticks(range(len(heads)), heads)
        return
    layers = [_place(head)[0] for head in heads]
    first = {layer: layers.index(layer) for layer in dict.fromkeys(layers)}
    every = -(-len(first) // NAMED_HEADS)
    shown = list(first)[::every]
    axes.set_yticks([first[layer] for layer in shown], [f"L{n}" for n in shown])


def _place(head: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", head)]


def _edges(steps: np.ndarray) -> np.ndarray:
    """Where the columns of checkpoints end: half-way to the next, so many and one."""
    middle = (steps[1:] + steps[:-1]) / 2
    return np.array([steps[0], *middle, steps[-1]])
