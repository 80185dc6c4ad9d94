"""Inputs and output gradients of the attention layers, from one forward and backward.

For a linear map `y = x W`, a row's gradient is `G = X^T dY`, summed over its tokens. So
the inputs `X` and the output gradients `dY` of `query_key_value` and `dense` are all
that per-row gradients of every head need; autograd never forms a weight gradient.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.neox import Model, attention_of, dense_of, geometry


@dataclass
class LayerTrace:
    """What one layer's attention saw in one pass."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def qkv_input(self) -> Float[Tensor, "batch length hidden"]:
        """After the LayerNorm."""
        return self.tensors["query_key_value.input"]

    @property
    def qkv_grad(self) -> Float[Tensor, "batch length qkv"]:
        """At the output of `query_key_value`, of width 3 * hidden."""
        return self.tensors["query_key_value.grad"]

    @property
    def dense_input(self) -> Float[Tensor, "batch length hidden"]:
        """The heads' outputs z, head-major."""
        return self.tensors["dense.input"]

    @property
    def dense_grad(self) -> Float[Tensor, "batch length hidden"]:
        """At the output of `dense`."""
        return self.tensors["dense.grad"]


class Capture:
    """Hooks on the attention of the given layers of a frozen model.

    The lowest captured layer's `query_key_value` output is made the root of the graph,
    so nothing below it is differentiated. Use as a context manager; after each backward
    pass `traces[layer]` holds the tensors of that pass.
    """

    def __init__(self, model: Model, layers: Iterable[int]) -> None:
        self.traces = {layer: LayerTrace() for layer in sorted(set(layers))}
        self._model = model
        self._handles: list = []

    def __enter__(self) -> "Capture":
        self._model.requires_grad_(False)
        for layer, trace in self.traces.items():
            attention = attention_of(self._model, layer)
            for name in ("query_key_value", "dense"):
                module = getattr(attention, name)
                self._handles.append(
                    module.register_forward_hook(_recorder(trace, name))
                )
        return self

    def fill_missing_gradients(self) -> None:
        """Set the gradients that the last backward pass did not reach to zero.

        A probe of attention patterns, say, does not depend on its head's V and O.
        """
        for trace in self.traces.values():
            for name in ("query_key_value", "dense"):
                output = trace.tensors[f"{name}.output"]
                trace.tensors.setdefault(f"{name}.grad", torch.zeros_like(output))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _recorder(trace: LayerTrace, name: str) -> Callable[..., None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        trace.tensors[f"{name}.input"] = inputs[0].detach()
        trace.tensors[f"{name}.output"] = output.detach()
        trace.tensors.pop(f"{name}.grad", None)
        if not output.requires_grad:
            output.requires_grad_(True)
        output.register_hook(lambda grad: trace.tensors.update({f"{name}.grad": grad}))

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
