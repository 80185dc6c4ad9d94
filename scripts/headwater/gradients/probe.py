"""Gradients of probes with respect to one head's parameters."""

import math
from contextlib import nullcontext

import torch

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.gradients.blocks import Matrices, Mode, blocks_of
from headwater.gradients.capture import captured, detached_heads
from headwater.gradients.heads import layer_gradients, split_blocks
from headwater.logs import logger
from headwater.models.sites import Model, geometry
from headwater.probes import Probe, ProbeData


def probe_gradient(
    model: Model,
    probe: Probe,
    head: Head,
    data: ProbeData,
    mode: Mode,
    batch_size: int = 64,
    detached: bool = False,
) -> tuple[Matrices, float]:
    """Gradient of the probe's mean over its rows, within the head's blocks.

    Args:
        model: any attention implementation; switched to eager while this runs.
        batch_size: rows a pass; the result does not depend on it.
        detached: with all other heads detached, as in the paper's released code.

    Returns:
        (gradient by block name `qk`, `v`, `o`, on the CPU; mean of f). A block the
        probe does not depend on has a zero gradient.

    Raises:
        HeadwaterError: the value or the gradient is not finite.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    cut = detached_heads(model, head.index) if detached else nullcontext()
    try:
        with cut:
            return _probe_gradient(model, probe, head, data, mode, batch_size)
    finally:
        model.set_attn_implementation(before)


def warn_if_zero(gradient: Matrices, target: str, head: Head) -> None:
    """Log a warning if a probe's gradient is zero, since then no row can matter."""
    if not any(matrix.any() for matrix in gradient.values()):
        logger.warning(
            "target %s: its probe does not depend on the parameters of %s: "
            "a zero gradient makes all scores zero, and their ranking means nothing",
            *(target, head),
        )


def _probe_gradient(
    model: Model,
    probe: Probe,
    head: Head,
    data: ProbeData,
    mode: Mode,
    batch_size: int,
) -> tuple[Matrices, float]:
    sizes = geometry(model)
    total, flat = 0.0, torch.zeros(())
    with captured(model, [head.layer]) as traces:
        for start in range(0, len(data), batch_size):
            batch = data[start : start + batch_size].to(model.device)
            values = probe.function(model, head, batch)
            values.sum().backward()
            total += float(values.detach().double().sum())
            trace = traces[head.layer]
            gradient = layer_gradients(trace, [head], mode, sizes)[:, 0]
            flat = flat + gradient.double().sum(dim=0).cpu()
    if not (math.isfinite(total) and flat.isfinite().all()):
        raise HeadwaterError(
            f"probe {probe.name} of {head}: its value or gradient is not finite; the "
            "checkpoint diverged, or a row of the probe overflows the precision"
        )
    blocks = split_blocks(flat / len(data), head, mode, sizes)
    names = {str(block): block.name for block in blocks_of([head], mode)}
    return {names[k]: v for k, v in blocks.items()}, total / len(data)
