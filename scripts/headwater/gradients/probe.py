"""Gradients of probes with respect to one head's parameters."""

import torch
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.geometry import Head
from headwater.gradients.blocks import block_sides, blocks_of, row_gradients
from headwater.gradients.capture import Capture
from headwater.neox import geometry
from headwater.probes import Probe


def probe_gradient(
    model: GPTNeoXForCausalLM,
    probe: Probe,
    head: Head,
    tokens: Tensor,
    mode: str,
    batch_size: int = 64,
) -> tuple[dict[str, Tensor], float]:
    """Gradient of the probe's mean over sequences, within the head's blocks.

    Args:
        model: any attention implementation; switched to eager while this runs.
        probe: the probe.
        head: whose parameters are differentiated.
        tokens: probe sequences [count, 2 * half].
        mode: `qk` or `qkvo`.
        batch_size: sequences a pass; the result does not depend on it.

    Returns:
        (gradient by block name `qk`, `v`, `o`, [rows, columns] float64 on the CPU;
        mean of f). A block the probe does not depend on has a zero gradient.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        return _probe_gradient(model, probe, head, tokens, mode, batch_size)
    finally:
        model.set_attn_implementation(before)


def _probe_gradient(
    model: GPTNeoXForCausalLM,
    probe: Probe,
    head: Head,
    tokens: Tensor,
    mode: str,
    batch_size: int,
) -> tuple[dict[str, Tensor], float]:
    sizes = geometry(model)
    blocks = blocks_of([head], mode)
    sums = {
        block.name: torch.zeros(block.shape(sizes), dtype=torch.float64)
        for block in blocks
    }
    total = 0.0
    with Capture(model, [head.layer]) as capture:
        for batch in tokens.split(batch_size):
            values = probe.function(model, head, batch.to(model.device))
            values.sum().backward()
            total += float(values.detach().double().sum())
            capture.fill_missing_gradients()
            sides = block_sides(capture.traces, blocks, sizes)
            for block in blocks:
                gradient = row_gradients(sides, block).sum(dim=0)
                sums[block.name] += gradient.double().cpu()
    return {name: value / len(tokens) for name, value in sums.items()}, total / len(
        tokens
    )
