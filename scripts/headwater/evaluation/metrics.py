"""All metrics of one checkpoint, as lines of a long table.

A line's `kind` says what its `name` is the name of, since a domain is called what the
training data calls it: `head`; `unit`, of another sort; `target`; `domain`; or `group`,
of which there are two: `natural`, all held-out rows that were not generated, and
`random`, the random sequences.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float64

from headwater.corpus.domains import NATURAL
from headwater.errors import HeadwaterError
from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.heads.copy_gain import ablation, copy_gain
from headwater.heads.scores import head_scores
from headwater.models.sites import Model
from headwater.probes import Probe, ProbeData, Repeats
from headwater.units import HEAD, Unit

COLUMNS = ["step", "metric", "kind", "name", "value"]
RANDOM = "random"
Measurement = tuple[int, str, str, str, float]


@dataclass(frozen=True)
class Questions:
    """What every checkpoint is asked.

    Attributes:
        sequences: random ones, drawn to judge with, on the model's device.
        natural: held-out text with a repeated span, on that device; None if no document
            is long enough.
        held_out: the held-out rows.
        early: tokens at the beginning of a document that count as early.
        late: tokens at its end that count as late.
        probes: probe, unit and the probe's data of every target, by its name.
    """

    sequences: Repeats
    natural: Repeats | None
    held_out: HeldOut
    early: int
    late: int
    probes: Mapping[str, tuple[Probe, Unit, ProbeData]]


def checkpoint_metrics(step: int, model: Model, asked: Questions) -> list[Measurement]:
    """Head scores, losses, ICL scores, copy gains and probe values of one checkpoint.

    Args:
        model: on its device; switched to eager attention.

    Returns:
        Lines (step, metric, kind, name, value): scores of heads; `ablation` of the
        targets' units; `loss`, `loss_copyable`, `loss_rest` and `icl` of domains and of
        `natural`, those that there are; `copy_gain` of `random`; `natural_copy_gain` of
        `natural`; `probe`, the value that the scores of rows predict, of targets.
    """
    losses = held_out_losses(model, asked.held_out.tokens)
    lines: list[Measurement] = []
    for kind, masks in (
        ("group", {NATURAL: asked.held_out.natural()}),
        ("domain", asked.held_out.by_domain()),
    ):
        for name, mask in masks.items():
            found = _language(losses, asked, mask)
            lines += [(step, metric, kind, name, value) for metric, value in found]
    for metric, scores in head_scores(model, asked.sequences).items():
        lines += [(step, metric, "head", str(h), value) for h, value in scores.items()]
    gain = copy_gain(model, asked.sequences)
    lines.append((step, "copy_gain", "group", RANDOM, gain))
    if asked.natural is not None:
        value = copy_gain(model, asked.natural)
        lines.append((step, "natural_copy_gain", "group", NATURAL, value))
    units = {str(unit): unit for _, unit, _ in asked.probes.values()}
    for label, unit in sorted(units.items()):
        value = ablation(model, unit, asked.sequences, gain)
        lines.append((step, "ablation", kind_of(unit), label, value))
    for name, (probe, unit, data) in asked.probes.items():
        value = probe_value(model, probe, unit, data)
        lines.append((step, "probe", "target", name, value))
    return lines


def _language(
    losses: Float64[np.ndarray, "rows length"],
    asked: Questions,
    mask: Bool[np.ndarray, " rows"],
) -> Iterator[tuple[str, float]]:
    """Losses and ICL score of some rows: none without rows, or without such tokens."""
    if not mask.any():
        return
    held, own = asked.held_out, losses[mask]
    copyable = held.copyable[mask]
    yield "loss", float(own.mean())
    for metric, some in (("loss_copyable", copyable), ("loss_rest", ~copyable)):
        if some.any():
            yield metric, float(own[some].mean())
    icl = icl_score(own, held.documents[mask], asked.early, asked.late)
    if icl is not None:
        yield "icl", icl


@torch.no_grad()
def probe_value(model: Model, probe: Probe, unit: Unit, data: ProbeData) -> float:
    """Mean of a probe over its data, in the probe's own measure."""
    return float(probe.function(model, probe.asked_of(unit), data).double().mean())


def kind_of(unit: Unit) -> str:
    """The `kind` of its lines."""
    return HEAD if unit.word == HEAD else "unit"


def check_finite(lines: list[Measurement], checkpoint: Path) -> None:
    """Refuse a checkpoint of which something cannot be measured.

    Raises:
        HeadwaterError: names the first such metric.
    """
    for _, metric, _, name, value in lines:
        if not math.isfinite(value):
            raise HeadwaterError(
                f"{checkpoint}: its {metric} of {name} is {value}; the checkpoint "
                "diverged, or its numbers overflow"
            )


def metrics_table(lines: list[Measurement]) -> pd.DataFrame:
    """Lines as a table."""
    return pd.DataFrame(lines, columns=COLUMNS)
