"""Per-row gradients of many units at once, flat.

One batched product for the units of a site that are alike: all heads of a layer, or
all neurons. A unit's gradient is flat, block after block, rows before columns. In the
eigenbasis it is `Q_A^T G Q_S`, block by block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headwater.gradients.blocks import Bases
from headwater.gradients.capture import Trace, Traces
from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.models.sites import Model
from headwater.units import Block, Site, Unit


@dataclass(frozen=True)
class Column:
    """Blocks that one product serves: those of all units of a stack at one site.

    Attributes:
        first: those of the stack's first unit.
        kept: outputs (inputs) of the site that any unit has; None for all.
        where: of every unit and block, one after the other, among those; None for as
            they are.
    """

    site: Site
    first: tuple[Block, ...]
    kept: Int[Tensor, " kept"] | None
    where: Int[Tensor, " places"] | None

    @staticmethod
    def of(blocks: list[tuple[Block, ...]]) -> "Column":
        """The column of these blocks, unit by unit."""
        places = torch.tensor([p for own in blocks for b in own for p in b.places])
        kept, where = torch.unique(places, return_inverse=True)
        same = torch.equal(where, torch.arange(len(where)))
        first = blocks[0]
        site = first[0].layer, first[0].site
        return Column(site, first, kept, None if same else where)


@dataclass(frozen=True)
class Stack:
    """Units that are alike: as many blocks, of the same sites, names and shapes."""

    units: tuple[Unit, ...]
    columns: tuple[Column, ...]


def stacks_of(units: list[Unit]) -> list[Stack]:
    """Units in stacks of those that are alike."""
    alike: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        kind = tuple((_column_of(b), b.name, len(b.places)) for b in unit.blocks)
        alike.setdefault(kind, []).append(unit)
    return [_stack(tuple(own)) for own in alike.values()]


def _column_of(block: Block) -> tuple[int, str, bool]:
    return block.layer, block.site, block.writes


def _stack(units: tuple[Unit, ...]) -> Stack:
    parts = [
        [tuple(own) for _, own in groupby(unit.blocks, _column_of)] for unit in units
    ]
    return Stack(units, tuple(map(Column.of, map(list, zip(*parts, strict=True)))))


def gradients_of(
    model: Model,
    rows: RowSequence,
    units: list[Unit],
    options: PassOptions,
    bases: Bases | None = None,
) -> Iterator[tuple[Batch, dict[Unit, Float[Tensor, "batch parameters"]]]]:
    """Stream rows through the model; yield each batch with its units' flat gradients.

    Args:
        model: on its device; its parameters are frozen.
        bases: turn the gradients into these eigenbases, by side name.
    """
    stacks, turned = stacks_of(units), None
    for batch in run_pass(model, rows, sites_of(units), options):
        if bases is not None and turned is None:
            like = next(iter(batch.traces.values())).input
            turned = [_turns(stack, bases, like) for stack in stacks]
        found = flat_gradients(batch.traces, stacks, turned)
        yield batch, {unit: found[unit] for unit in units}


def sites_of(units: list[Unit]) -> list[Site]:
    """Where some units' blocks are, ascending."""
    return sorted({site for unit in units for site in unit.sites})


Turn = tuple[Tensor, list[Tensor]]  # shared basis of a column; own ones of its blocks


def _turns(stack: Stack, bases: Bases, like: Tensor) -> list[Turn]:
    turns = []
    start = 0
    for column in stack.columns:
        numbers = range(start, start + len(column.first))
        own = [
            torch.stack([bases[unit.blocks[number].own] for unit in stack.units])
            for number in numbers
        ]
        shared = bases[column.first[0].shared].to(like)
        turns.append((shared, [basis.to(like) for basis in own]))
        start = numbers.stop
    return turns


def flat_gradients(
    traces: Traces, stacks: list[Stack], turns: list[list[Turn]] | None = None
) -> dict[Unit, Float[Tensor, "batch parameters"]]:
    """Flat gradients of every row and unit, in float32 or more."""
    found: dict[Unit, Tensor] = {}
    for number, stack in enumerate(stacks):
        parts: list[Tensor] = []
        for place, column in enumerate(stack.columns):
            turn = turns[number][place] if turns else None
            trace, count = traces[column.site], len(stack.units)
            parts += _column_parts(trace, column, count, turn)
        flat = torch.cat([part.flatten(2) for part in parts], dim=2)
        found.update(zip(stack.units, flat.unbind(dim=1), strict=True))
    return found


def _column_parts(
    trace: Trace, column: Column, count: int, turn: Turn | None
) -> Iterator[Float[Tensor, "batch units _rows _columns"]]:
    writes = column.first[0].writes
    own, shared = (
        (trace.inner, trace.output_grad) if writes else (trace.read_grad, trace.input)
    )
    if column.kept is not None and len(column.kept) < own.shape[2]:
        own = own.index_select(2, column.kept.to(own.device))
    # Of what writes the other way round, so that the shared side comes first here too.
    product = _product(shared, own, turn[0] if turn else None)
    if column.where is not None:
        product = product.index_select(2, column.where.to(product.device))
    by_unit = product.unflatten(2, (count, -1)).transpose(1, 2)
    widths = [len(block.places) for block in column.first]
    for number, part in enumerate(by_unit.split(widths, dim=3)):
        turned = part @ turn[1][number].to(part) if turn else part
        yield turned.mT if writes else turned


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


def split_blocks(
    flat: Float[Tensor, "*batch parameters"], unit: Unit
) -> dict[str, Float[Tensor, "*batch _rows _columns"]]:
    """A unit's flat gradients by block."""
    shapes = [block.shape for block in unit.blocks]
    parts = flat.split([rows * columns for rows, columns in shapes], dim=-1)
    return {
        str(block): part.unflatten(-1, shape)
        for block, part, shape in zip(unit.blocks, parts, shapes, strict=True)
    }
