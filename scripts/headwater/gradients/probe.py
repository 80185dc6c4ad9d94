"""Gradients of probes with respect to one unit's parameters."""

import math
from contextlib import nullcontext

import torch

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.gradients.blocks import Matrices
from headwater.gradients.capture import captured, detached_heads
from headwater.gradients.flat import flat_gradients, split_blocks, stacks_of
from headwater.logs import logger
from headwater.models.sites import Model
from headwater.probes import Probe, ProbeData
from headwater.units import Unit


def probe_gradient(
    model: Model,
    probe: Probe,
    unit: Unit,
    data: ProbeData,
    batch_size: int = 64,
    detached: bool = False,
) -> tuple[Matrices, float]:
    """Gradient of the probe's mean over its rows, within the unit's blocks.

    Args:
        model: any attention implementation; switched to eager while this runs.
        batch_size: rows a pass; the result does not depend on it.
        detached: with all other heads detached, as in the paper's released code.

    Returns:
        (gradient by block, on the CPU; mean of f). A block the probe does not depend on
        has a zero gradient.

    Raises:
        HeadwaterError: the value or the gradient is not finite.
    """
    subject = probe.asked_of(unit)
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    head = unit.head if detached else None
    cut = detached_heads(model, head.index) if head else nullcontext()
    try:
        with cut:
            return _probe_gradient(model, probe, unit, subject, data, batch_size)
    finally:
        model.set_attn_implementation(before)


def warn_if_zero(gradient: Matrices, target: str, unit: Unit) -> None:
    """Log a warning if a probe's gradient is zero, since then no row can matter."""
    if not any(matrix.any() for matrix in gradient.values()):
        logger.warning(
            "target %s: its probe does not depend on the parameters of %s: "
            "a zero gradient makes all scores zero, and their ranking means nothing",
            *(target, unit),
        )


def _probe_gradient(
    model: Model,
    probe: Probe,
    unit: Unit,
    subject: Head | Unit | None,
    data: ProbeData,
    batch_size: int,
) -> tuple[Matrices, float]:
    total, flat, stacks = 0.0, torch.zeros(()), stacks_of([unit])
    with captured(model, unit.sites) as traces:
        for start in range(0, len(data), batch_size):
            batch = data[start : start + batch_size].to(model.device)
            values = probe.function(model, subject, batch)
            values.sum().backward()
            total += float(values.detach().double().sum())
            gradient = flat_gradients(traces, stacks)[unit]
            flat = flat + gradient.double().sum(dim=0).cpu()
    if not (math.isfinite(total) and flat.isfinite().all()):
        raise HeadwaterError(
            f"probe {probe.name} of {unit}: its value or gradient is not finite; the "
            "checkpoint diverged, or a row of the probe overflows the precision"
        )
    return split_blocks(flat / len(data), unit), total / len(data)
