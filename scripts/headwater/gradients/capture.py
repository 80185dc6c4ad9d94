"""Inputs and output gradients of the attention layers, from one forward and backward.

For a linear map `y = x W`, a row's gradient is `G = X^T dY`, summed over its tokens. So
the inputs `X` and the output gradients `dY` of the maps that read an attention's input
and of the one that writes its output are all that per-row gradients of every head need;
autograd never forms a weight gradient.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.models.sites import (
    Model,
    architecture_of,
    geometry,
    readers,
    writer,
)


@dataclass
class LayerTrace:
    """What one layer's attention saw in one pass.

    Attributes:
        inputs: of every linear map, by its name.
        grads: at its output, likewise.
        reads: the maps that read the attention's input, which is one for all.
        writes: the map that adds to the residual stream.
    """

    reads: tuple[str, ...]
    writes: str
    inputs: dict[str, Float[Tensor, "batch length _"]] = field(default_factory=dict)
    grads: dict[str, Float[Tensor, "batch length _"]] = field(default_factory=dict)

    @property
    def qkv_input(self) -> Float[Tensor, "batch length hidden"]:
        """What Q, K and V are made of: after the norm, where there is one."""
        return self.inputs[self.reads[0]]

    @property
    def qkv_grad(self) -> Float[Tensor, "batch length qkv"]:
        """At the outputs of all maps that read, side by side."""
        parts = [self.grads[name] for name in self.reads]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    @property
    def z(self) -> Float[Tensor, "batch length heads_d_head"]:
        """The heads' outputs, head-major."""
        return self.inputs[self.writes]

    @property
    def output_grad(self) -> Float[Tensor, "batch length hidden"]:
        """At what the attention adds to the residual stream."""
        return self.grads[self.writes]


@contextmanager
def captured(model: Model, layers: Iterable[int]) -> Iterator[dict[int, LayerTrace]]:
    """Traces of some layers of a model, which is frozen; new after each backward pass.

    What the lowest captured layer makes of its input is made the root of the graph, so
    nothing below it is differentiated.
    """
    model.requires_grad_(False)
    kind, traces, handles = architecture_of(model), {}, []
    for layer in sorted(set(layers)):
        trace = traces[layer] = LayerTrace(kind.reads, kind.writes)
        maps = {**readers(model, layer), kind.writes: writer(model, layer)}
        for name, module in maps.items():
            handles.append(module.register_forward_hook(_recorder(trace, name)))
    try:
        yield traces
    finally:
        for handle in handles:
            handle.remove()


def _recorder(trace: LayerTrace, name: str) -> Callable[..., None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        trace.inputs[name] = inputs[0].detach()
        # Zero where no backward pass comes: a probe of attention patterns, say, does
        # not depend on its head's V and O.
        trace.grads[name] = output.new_zeros(()).expand_as(output)
        if not output.requires_grad:
            output.requires_grad_(True)
        output.register_hook(partial(trace.grads.__setitem__, name))

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
        writer(model, layer).register_forward_pre_hook(cut)
        for layer in range(sizes.layers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
