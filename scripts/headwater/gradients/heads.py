"""Per-row gradients of many heads of a layer at once, flat.

    qk = X^T (dQ, dK)     v = X^T dV     o = z^T dR

One batched product a layer serves all of its heads. A head's gradient is flat, block
after block, rows before columns: `qk` [hidden, 2 d_head], `v` [hidden, d_head],
`o` [d_head, hidden]. In the eigenbasis it is `Q_A^T G Q_S`, block by block.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import Bases, Block, Mode, blocks_of
from headwater.gradients.capture import LayerTrace
from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.neox import Model, geometry


@dataclass(frozen=True)
class LayerBasis:
    """Eigenvectors of one layer's heads, as columns, in the order of those heads.

    Attributes:
        input: of the layer's input.
        qk: of each head's dQ, dK, of width 2 d_head.
        v: of each head's dV; absent under mode `qk`.
        z: of each head's output; absent under mode `qk`.
        output: of the layer's output gradient; absent likewise.
    """

    input: Float[Tensor, "hidden hidden"]
    qk: Float[Tensor, "heads qk qk"]
    v: Float[Tensor, "heads d_head d_head"] | None = None
    z: Float[Tensor, "heads d_head d_head"] | None = None
    output: Float[Tensor, "hidden hidden"] | None = None


def by_layer(heads: list[Head]) -> dict[int, list[Head]]:
    """Heads grouped by layer, both ascending."""
    layers = sorted({head.layer for head in heads})
    return {layer: sorted(h for h in heads if h.layer == layer) for layer in layers}


def layer_bases(
    bases: Bases, heads: list[Head], mode: Mode, like: Tensor
) -> dict[int, LayerBasis]:
    """The bases of every layer of `heads`, from those of single sides.

    Args:
        bases: by side name, as in `curvature.Factors`.
        like: gives device and precision.
    """
    result = {}
    for layer, own in by_layer(heads).items():
        blocks = [blocks_of([head], mode) for head in own]
        stack = {
            name: torch.stack([bases[name_of(b)] for b in column]).to(like)
            for column in zip(*blocks, strict=True)
            for name, name_of in _OWN_SIDES[column[0].name].items()
        }
        shared = {
            name: bases[f"L{layer}/{name}"].to(like)
            for name in ("input", "output")[: 2 if mode == "qkvo" else 1]
        }
        result[layer] = LayerBasis(**shared, **stack)
    return result


# The sides that belong to one head alone: field of `LayerBasis` to side of the block.
_OWN_SIDES = {
    "qk": {"qk": lambda block: block.right},
    "v": {"v": lambda block: block.right},
    "o": {"z": lambda block: block.left},
}


def head_gradients(
    traces: Mapping[int, LayerTrace],
    heads: list[Head],
    mode: Mode,
    sizes: Geometry,
    bases: Mapping[int, LayerBasis] | None = None,
) -> dict[Head, Float[Tensor, "batch parameters"]]:
    """Flat gradients of every row and head, in float32 or more; in `bases` if given."""
    result: dict[Head, Tensor] = {}
    for layer, own in by_layer(heads).items():
        basis = bases[layer] if bases else None
        flat = layer_gradients(traces[layer], own, mode, sizes, basis)
        result.update(zip(own, flat.unbind(dim=1), strict=True))
    return {head: result[head] for head in heads}


def gradients_of(
    model: Model,
    rows: RowSequence,
    heads: list[Head],
    mode: Mode,
    options: PassOptions,
    bases: Bases | None = None,
) -> Iterator[tuple[Batch, dict[Head, Float[Tensor, "batch parameters"]]]]:
    """Stream rows through the model; yield each batch with its heads' flat gradients.

    Args:
        model: on its device; its parameters are frozen.
        bases: turn the gradients into these eigenbases, by side name.
    """
    sizes, turned = geometry(model), None
    for batch in run_pass(model, rows, list(by_layer(heads)), options):
        if bases is not None and turned is None:
            like = next(iter(batch.traces.values())).qkv_input
            turned = layer_bases(bases, heads, mode, like)
        yield batch, head_gradients(batch.traces, heads, mode, sizes, turned)


def layer_gradients(
    trace: LayerTrace,
    heads: list[Head],
    mode: Mode,
    sizes: Geometry,
    basis: LayerBasis | None = None,
) -> Float[Tensor, "batch heads parameters"]:
    """Flat gradients of heads of one layer."""
    indices = [head.index for head in heads]
    index = slice(None) if indices == list(range(sizes.heads)) else indices
    x, dy = trace.qkv_input, sizes.split_qkv(trace.qkv_grad)[:, :, index]
    product = _product(x, dy.flatten(2), basis.input if basis else None)
    qkv = product.unflatten(2, (len(heads), 3, sizes.d_head)).transpose(1, 2)
    # [batch, heads, hidden, 3, d_head]
    qk = _turned(qkv[..., :2, :].flatten(3), basis.qk if basis else None)
    parts = [qk.flatten(2)]
    if mode == "qkvo":
        v = _turned(qkv[..., 2, :], basis.v if basis else None)
        parts += [v.flatten(2), _output_part(trace, index, sizes, basis).flatten(2)]
    return torch.cat(parts, dim=2)


def _output_part(
    trace: LayerTrace,
    index: slice | list[int],
    sizes: Geometry,
    basis: LayerBasis | None,
) -> Float[Tensor, "batch heads d_head hidden"]:
    z = sizes.split_heads(trace.dense_input)[:, :, index]
    # The other way round, so that the shared side comes first here too.
    basis_out = basis.output if basis else None
    product = _product(trace.dense_grad, z.flatten(2), basis_out)
    turned = product.unflatten(2, (z.shape[2], sizes.d_head)).transpose(1, 2)
    return _turned(turned, basis.z if basis else None).mT


def _product(
    shared: Float[Tensor, "batch length hidden"],
    own: Float[Tensor, "batch length columns"],
    basis: Float[Tensor, "hidden hidden"] | None,
) -> Float[Tensor, "batch hidden columns"]:
    """`(shared basis)^T own` over tokens.

    Turning the tokens costs `length * hidden^2`, turning the product
    `hidden^2 * columns`: the cheaper one is done.
    """
    if basis is not None and shared.shape[1] < own.shape[2]:
        shared, basis = shared @ basis, None
    product = torch.bmm(shared.mT, own)
    if product.dtype in (torch.bfloat16, torch.float16):
        product = product.float()
    return product if basis is None else basis.to(product).mT @ product


def _turned(
    values: Float[Tensor, "batch heads rows columns"],
    right: Float[Tensor, "heads columns columns"] | None,
) -> Float[Tensor, "batch heads rows columns"]:
    """`values @ right` of every head."""
    return values if right is None else values @ right.to(values)


def split_blocks(
    flat: Float[Tensor, "*batch parameters"], head: Head, mode: Mode, sizes: Geometry
) -> dict[str, Float[Tensor, "*batch _rows _columns"]]:
    """Flat gradients by block name."""
    blocks: list[Block] = blocks_of([head], mode)
    shapes = [block.shape(sizes) for block in blocks]
    parts = flat.split([rows * columns for rows, columns in shapes], dim=-1)
    return {
        str(block): part.unflatten(-1, shape)
        for block, part, shape in zip(blocks, parts, shapes, strict=True)
    }
