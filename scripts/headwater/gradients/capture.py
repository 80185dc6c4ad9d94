"""Inputs and output gradients of the attention layers, from one forward and backward.

For a linear map `y = x W`, a row's gradient is `G = X^T dY`, summed over its tokens. So
the inputs `X` and the output gradients `dY` of `query_key_value` and `dense` are all
that per-row gradients of every head need; autograd never forms a weight gradient.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.neox import Model, attention_of, dense_of, geometry


@dataclass
class LayerTrace:
    """What one layer's attention saw in one pass.

    Attributes:
        qkv_input: after the LayerNorm.
        qkv_grad: at the output of `query_key_value`, of width 3 * hidden.
        dense_input: the heads' outputs z, head-major.
        dense_grad: at the output of `dense`.
    """

    qkv_input: Float[Tensor, "batch length hidden"] = field(init=False)
    qkv_grad: Float[Tensor, "batch length qkv"] = field(init=False)
    dense_input: Float[Tensor, "batch length hidden"] = field(init=False)
    dense_grad: Float[Tensor, "batch length hidden"] = field(init=False)


@contextmanager
def captured(model: Model, layers: Iterable[int]) -> Iterator[dict[int, LayerTrace]]:
    """Traces of some layers of a model, which is frozen; new after each backward pass.

    The lowest captured layer's `query_key_value` output is made the root of the graph,
    so nothing below it is differentiated.
    """
    model.requires_grad_(False)
    traces = {layer: LayerTrace() for layer in sorted(set(layers))}
    handles = []
    for layer, trace in traces.items():
        attention = attention_of(model, layer)
        for name, module in (("qkv", "query_key_value"), ("dense", "dense")):
            hook = _recorder(trace, name)
            handles.append(attention.get_submodule(module).register_forward_hook(hook))
    try:
        yield traces
    finally:
        for handle in handles:
            handle.remove()


def _recorder(trace: LayerTrace, name: str) -> Callable[..., None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        setattr(trace, f"{name}_input", inputs[0].detach())
        # Zero where no backward pass comes: a probe of attention patterns, say, does
        # not depend on its head's V and O.
        setattr(trace, f"{name}_grad", output.new_zeros(()).expand_as(output))
        if not output.requires_grad:
            output.requires_grad_(True)
        output.register_hook(lambda grad: setattr(trace, f"{name}_grad", grad))

    return record


@contextmanager
def detached_heads(model: Model, kept: int) -> Iterator[None]:
    """Let gradients flow through one head index of every layer only.

    The paper's released code does so by a patch of its model library: in every layer
    the outputs of all heads but the one with the target's index are detached. The loss
    is unchanged; gradients below the last layer are not the true ones. Kept to show
    what it changes.
    """
    sizes = geometry(model)

    def cut(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        heads = list(sizes.split_heads(inputs[0]).unbind(dim=-2))
        cut = [z if i == kept else z.detach() for i, z in enumerate(heads)]
        return (torch.stack(cut, dim=-2).flatten(-2), *inputs[1:])

    handles = [
        dense_of(model, layer).register_forward_pre_hook(cut)
        for layer in range(sizes.layers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
