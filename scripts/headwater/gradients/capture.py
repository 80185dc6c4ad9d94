"""Inputs and output gradients of linear maps, from one forward and backward.

For a linear map `y = x W`, a row's gradient is `G = X^T dY`, summed over its tokens. So
the inputs `X` and the output gradients `dY` of the maps that read the input of an
attention or MLP, and of the one that writes its output, are all that per-row gradients
of every unit need; autograd never forms a weight gradient.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.models.sites import Model, geometry, readers, writer
from headwater.units import Site


@dataclass
class Trace:
    """What one site saw in one pass: the attention of a layer, or its MLP.

    Attributes:
        input: of the maps that read: after the norm, where there is one.
        read_grads: at the output of each of these maps, by its number.
        inner: input of the map that writes: the heads' outputs z, or the neurons'.
        output_grad: at what is added to the residual stream.
    """

    input: Float[Tensor, "batch length hidden"] = field(init=False)
    read_grads: dict[int, Float[Tensor, "batch length _"]] = field(default_factory=dict)
    inner: Float[Tensor, "batch length _"] = field(init=False)
    output_grad: Float[Tensor, "batch length hidden"] = field(init=False)

    @property
    def read_grad(self) -> Float[Tensor, "batch length _"]:
        """At the outputs of all maps that read, side by side."""
        parts = [self.read_grads[number] for number in sorted(self.read_grads)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


Traces = dict[Site, Trace]


@contextmanager
def captured(model: Model, sites: Iterable[Site]) -> Iterator[Traces]:
    """Traces of some sites of a model, which is frozen; new after each backward pass.

    What the lowest captured site makes of its input is made the root of the graph, so
    nothing below it is differentiated.
    """
    model.requires_grad_(False)
    traces: Traces = {}
    handles = []
    for layer, site in sorted(set(sites)):
        maps = readers(model, layer, site)
        trace = traces[layer, site] = Trace()
        for number, module in enumerate(maps):
            hook = _recorder(
                partial(setattr, trace, "input"),
                partial(trace.read_grads.__setitem__, number),
            )
            handles.append(module.register_forward_hook(hook))
        hook = _recorder(
            partial(setattr, trace, "inner"), partial(setattr, trace, "output_grad")
        )
        handles.append(writer(model, layer, site).register_forward_hook(hook))
    try:
        yield traces
    finally:
        for handle in handles:
            handle.remove()


def _recorder(
    keep_input: Callable[[Tensor], None], keep_grad: Callable[[Tensor], None]
) -> Callable[..., None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        keep_input(inputs[0].detach())
        # Zero where no backward pass comes: a probe of attention patterns, say, does
        # not depend on its head's V and O.
        keep_grad(output.new_zeros(()).expand_as(output))
        if not output.requires_grad:
            output.requires_grad_(True)
        output.register_hook(keep_grad)

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
