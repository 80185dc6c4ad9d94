"""Per-row gradients of many heads of a layer at once, flat.

    qk = X^T (dQ, dK)     v = X^T dV     o = z^T dR

One batched product a layer serves all of its heads. A head's gradient is flat, block
after block, rows before columns: `qk` [hidden, 2 d_head], `v` [hidden, d_head],
`o` [d_head, hidden]. In the eigenbasis it is `Q_A^T G Q_S`, block by block.
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import BLOCKS, Bases, Block, Mode, blocks_of
from headwater.gradients.capture import LayerTrace
from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.models.sites import Model, geometry

# Eigenvectors of one layer's heads, as columns, by side: `input` and `output` are those
# of the layer; the others are stacked, a head each, in the order of those heads.
LayerBasis = Mapping[str, Float[Tensor, "*_heads _width _width"]]


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
    result: dict[int, LayerBasis] = {}
    for layer, own in by_layer(heads).items():
        blocks = [blocks_of([head], mode) for head in own]
        found = {}
        for column in zip(*blocks, strict=True):
            first = column[0]
            found[_kind(first.shared)] = bases[first.shared]
            found[_kind(first.own)] = torch.stack([bases[b.own] for b in column])
        result[layer] = {name: basis.to(like) for name, basis in found.items()}
    return result


def _kind(side: str) -> str:
    return side.rpartition("/")[2]


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
    indices, basis = [head.index for head in heads], basis or {}
    dy, own = sizes.of_heads(trace.qkv_grad, indices)
    product = _product(trace.qkv_input, dy, basis.get("input"))
    q, k, v = (part.transpose(1, 2) for part in own.split_qkv(product))
    k, v = own.by_query(k, dim=1), own.by_query(v, dim=1)
    # q, k, v: [batch, heads, hidden, d_head]
    parts = {
        "qk": lambda: torch.cat([q, k], dim=3),
        "q": lambda: q,
        "v": lambda: v,
    }
    flat = []
    for name in BLOCKS[mode]:
        if name == "o":
            flat.append(_output_part(trace, indices, sizes, basis))
        else:
            flat.append(_turned(parts[name](), basis.get(name)))
    return torch.cat([part.flatten(2) for part in flat], dim=2)


def _output_part(
    trace: LayerTrace, indices: list[int], sizes: Geometry, basis: LayerBasis
) -> Float[Tensor, "batch heads d_head hidden"]:
    z = sizes.split_heads(trace.z)
    z = z if indices == [*range(sizes.heads)] else z[:, :, indices]
    # The other way round, so that the shared side comes first here too.
    product = _product(trace.output_grad, z.flatten(2), basis.get("output"))
    turned = product.unflatten(2, (z.shape[2], sizes.d_head)).transpose(1, 2)
    return _turned(turned, basis.get("z")).mT


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
