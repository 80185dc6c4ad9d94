"""What every block of a unit needs of a pass: its two sides, token by token."""

from collections.abc import Iterable, Mapping

from jaxtyping import Float, Float64
from torch import Tensor

from headwater.gradients.capture import Traces
from headwater.units import Block, Unit

Matrices = dict[str, Float64[Tensor, "_rows _columns"]]  # by block
Bases = Mapping[str, Float[Tensor, "_width _width"]]  # by side, eigenvectors as columns


def blocks_of(units: Iterable[Unit]) -> list[Block]:
    """The blocks of all units, each once."""
    found = {str(block): block for unit in units for block in unit.blocks}
    return list(found.values())


def block_sides(
    traces: Traces, blocks: list[Block]
) -> dict[str, Float[Tensor, "batch length _width"]]:
    """Per-token values of every side that `blocks` need."""
    sides: dict[str, Tensor] = {}
    read = {
        site: traces[site].read_grad
        for site in {(block.layer, block.site) for block in blocks}
    }
    for block in blocks:
        site = block.layer, block.site
        trace, places = traces[site], list(block.places)
        if block.writes:
            sides[block.own] = trace.inner[..., places]
            sides[block.shared] = trace.output_grad
        else:
            sides[block.own] = read[site][..., places]
            sides[block.shared] = trace.input
    return sides


def token_products(
    sides: Mapping[str, Float[Tensor, "batch length _width"]],
    block: Block,
    vector: Float[Tensor, "_rows _columns"],
) -> Float[Tensor, "batch length"]:
    """Each token's part of `<gradient, vector>` of a block, without forming it.

    The sides are those of `block_sides`.
    """
    return ((sides[block.left] @ vector) * sides[block.right]).sum(dim=2)
