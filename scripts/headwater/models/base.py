"""What is to be known of an architecture; the rest is the same for all of them.

An architecture is a file of this folder with a table `ARCHITECTURES`. It names the
classes of `transformers`, the linear maps of a layer and the order in which heads lie
in their outputs. Free of torch, since configs are checked by it before anything runs.

A linear map that reads the attention's input has the gradient `X^T dY`, taken at its
output, before any norm of queries and keys and before the rotary embedding. So one hook
serves every architecture, and what differs is where a head's outputs lie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Found = Mapping[str, Any]  # what a model's `config.json` says


@dataclass(frozen=True)
class Shape:
    """Widths of a layer: of the model, its MLP, a head, all queries and all keys."""

    hidden: int
    wide: int
    head: int
    queries: int
    keys: int


def _nothing(found: Found) -> str | None:
    return None


def biased_vectors(shape: Shape) -> int:
    """Biases of every map, and two norms with biases: GPT-NeoX, GPT-2."""
    biases = shape.queries + 2 * shape.keys + shape.wide + 2 * shape.hidden
    return biases + 4 * shape.hidden


@dataclass(frozen=True)
class Architecture:
    """How models of one type are built.

    Attributes:
        model_type: in `config.json`, and the folder of `transformers.models`.
        label: what people call it.
        prefix: of its classes, as in `<prefix>Config`.
        causal: the other half of its language model's name.
        layers: the list of layers in the base model.
        attention: the attention of a layer.
        reads: its linear maps that read its input: one, or those of Q, K and V.
        writes: its linear map that adds to the residual stream.
        mlp: the MLP of a layer.
        mlp_reads: its linear maps that read its input: one, or the gate first.
        mlp_writes: its linear map that adds to the residual stream.
        final_norm: the norm before the unembedding, in the base model.
        norms_after: norms of a layer between what its attention or MLP writes and the
            residual stream, by `units.ATTENTION` and `units.MLP`.
        by_head: see `geometry.Geometry`.
        transposed: whether weights are [inputs, outputs].
        renamed: beginning of a weight's name in published models to the one that
            `transformers` gives it today.
        buffers: endings of names that older versions stored though they are no weights.
        refuse: what of such a model cannot be used, in one line.
        names: keys of `config.json` that have another name elsewhere, by that name.
        dropouts: keys of `config.json` that training sets to 0.
        keys: of the config's section `model`, those that not every architecture has.
        settings: of a new model, from that section, as `transformers` wants them.
        vectors: numbers in the biases and norms of a layer.
        norm: numbers of a norm for each of its places: with a bias two.
        positions: whether positions have an embedding of their own.
    """

    model_type: str
    label: str
    prefix: str
    layers: str
    attention: str
    reads: tuple[str, ...]
    writes: str
    mlp_reads: tuple[str, ...]
    mlp_writes: str
    final_norm: str
    mlp: str = "mlp"
    norms_after: Mapping[str, str] = field(default_factory=dict)
    by_head: bool = False
    transposed: bool = False
    causal: str = "ForCausalLM"
    renamed: tuple[tuple[str, str], ...] = ()
    buffers: tuple[str, ...] = ()
    refuse: Callable[[Found], str | None] = _nothing
    names: Mapping[str, str] = field(default_factory=dict)
    dropouts: tuple[str, ...] = ("attention_dropout",)
    keys: tuple[str, ...] = ()
    settings: Callable[[Found], dict[str, Any]] = dict
    vectors: Callable[[Shape], int] = lambda shape: 2 * shape.hidden
    norm: int = 1
    positions: bool = False

    @property
    def adds(self) -> tuple[str, str]:
        """Endings of the names of matrices that write into the residual stream."""
        maps = f"{self.attention}.{self.writes}", f"{self.mlp}.{self.mlp_writes}"
        return f"{maps[0]}.weight", f"{maps[1]}.weight"

    def published_name(self, name: str) -> str:
        """A weight's name in checkpoints: the one that published models have."""
        for published, own in self.renamed:
            if name.startswith(own):
                return published + name.removeprefix(own)
        return name

    def own_name(self, name: str) -> str:
        """A weight's name in the model that `transformers` makes today."""
        for published, own in self.renamed:
            if name.startswith(published):
                return own + name.removeprefix(published)
        return name

    def plain(self, found: Found) -> dict[str, Any]:
        """What a `config.json` says, under the names that most architectures use."""
        other = {
            name: found[own]
            for name, own in self.names.items()
            if found.get(own) is not None
        }
        return {**found, **other}
