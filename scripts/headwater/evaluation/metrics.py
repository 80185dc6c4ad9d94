"""All metrics of one checkpoint, as lines of a long table.

A line's `kind` says what its `name` is the name of, since a domain is called what the
training data calls it: `head`; `target`; `domain`; or `group`, of which there is one,
`natural`: all held-out rows that were not generated.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from headwater.corpus.domains import NATURAL
from headwater.errors import HeadwaterError
from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.geometry import Head
from headwater.heads.scores import head_scores
from headwater.neox import Model
from headwater.probes import Probe, ProbeData

COLUMNS = ["step", "metric", "kind", "name", "value"]
Measurement = tuple[int, str, str, str, float]


def checkpoint_metrics(
    step: int,
    model: Model,
    sequences: Tensor,
    held_out: HeldOut,
    early: int,
    late: int,
    probes: Mapping[str, tuple[Probe, Head]],
) -> list[Measurement]:
    """Head scores, losses, ICL scores and probe values of one checkpoint.

    Args:
        model: on its device; switched to eager attention.
        sequences: random repeated sequences [count, 2 * half].
        early: tokens at the beginning of a document that count as early.
        late: tokens at its end that count as late.
        probes: probe and head of every target, by its name.

    Returns:
        Lines (step, metric, kind, name, value): scores of heads; `loss` and `icl` of
        domains and of `natural`, those that there are; `probe`, the value that the
        scores of rows predict, of targets.
    """
    losses = held_out_losses(model, held_out.tokens)
    lines: list[Measurement] = []
    for kind, masks in (
        ("group", {NATURAL: held_out.natural()}),
        ("domain", held_out.by_domain()),
    ):
        for name, mask in masks.items():
            found = _language(losses, held_out, mask, early, late)
            lines += [(step, metric, kind, name, value) for metric, value in found]
    for metric, scores in head_scores(model, sequences).items():
        lines += [(step, metric, "head", str(h), value) for h, value in scores.items()]
    for name, (probe, head) in probes.items():
        value = probe_value(model, probe, head, sequences)
        lines.append((step, "probe", "target", name, value))
    return lines


def _language(
    losses: Float64[np.ndarray, "rows length"],
    held_out: HeldOut,
    mask: Bool[np.ndarray, " rows"],
    early: int,
    late: int,
) -> Iterator[tuple[str, float]]:
    """Loss and ICL score of some rows: none without rows, or without long documents."""
    if mask.any():
        yield "loss", float(losses[mask].mean())
        icl = icl_score(losses[mask], held_out.documents[mask], early, late)
        if icl is not None:
            yield "icl", icl


@torch.no_grad()
def probe_value(model: Model, probe: Probe, head: Head, sequences: Tensor) -> float:
    """Mean of a probe over sequences, in the probe's own unit."""
    return float(probe.function(model, head, ProbeData(sequences)).double().mean())


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
