"""All metrics of one checkpoint, as lines of a long table."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.geometry import Head
from headwater.heads.scores import head_scores
from headwater.neox import Model
from headwater.probes import Probe, ProbeData

COLUMNS = ["step", "metric", "name", "value"]
Measurement = tuple[int, str, str, float]


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
        early: tokens at the beginning of a row that count as early.
        late: tokens at its end that count as late.
        probes: probe and head of every target, by its name.

    Returns:
        Lines (step, metric, name, value): a head score's name is the head; `loss` and
        `icl` are named by domain, and `natural` for all rows not generated; `probe`,
        the value that the scores of rows predict, is named by target.
    """
    losses = held_out_losses(model, held_out.tokens)
    lines: list[Measurement] = []
    for name, mask in held_out.groups().items():
        if mask.any():
            lines.append((step, "loss", name, float(losses[mask].mean())))
            lines.append((step, "icl", name, icl_score(losses[mask], early, late)))
    for metric, scores in head_scores(model, sequences).items():
        lines += [(step, metric, str(head), value) for head, value in scores.items()]
    for name, (probe, head) in probes.items():
        lines.append((step, "probe", name, probe_value(model, probe, head, sequences)))
    return lines


@torch.no_grad()
def probe_value(model: Model, probe: Probe, head: Head, sequences: Tensor) -> float:
    """Mean of a probe over sequences, in the probe's own unit."""
    return float(probe.function(model, head, ProbeData(sequences)).double().mean())


def check_finite(lines: list[Measurement], checkpoint: Path) -> None:
    """Refuse a checkpoint of which something cannot be measured.

    Raises:
        HeadwaterError: names the first such metric.
    """
    for _, metric, name, value in lines:
        if not math.isfinite(value):
            raise HeadwaterError(
                f"{checkpoint}: its {metric} of {name} is {value}; the checkpoint "
                "diverged, or its numbers overflow"
            )


def metrics_table(lines: list[Measurement]) -> pd.DataFrame:
    """Lines as a table."""
    return pd.DataFrame(lines, columns=COLUMNS)
