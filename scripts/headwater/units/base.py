"""A unit of a model as data: a label, and the blocks of parameters that it consists of.

A block is some rows or columns of a linear map, or of several maps that share their
input. Its gradient over a row is a product of two sides, summed over tokens:

    reads   X^T dY[:, places]   [hidden, places]   X: the maps' input
    writes  Z[:, places]^T dY   [places, hidden]   Z: input of the map that writes

Every sort of unit is a file of this folder: the `PATTERN` of its labels, the `head_of`
one that probes look at, what is the `problem` of one, and its `blocks`. Free of torch.
"""

from dataclasses import dataclass, field
from typing import Literal

from headwater.geometry import Head

Mode = Literal["qk", "qkvo", "qo"]
ATTENTION, MLP = "attention", "mlp"
Site = tuple[int, str]  # a layer's attention or MLP


@dataclass(frozen=True)
class Block:
    """One matrix of parameters, [inputs, outputs].

    Attributes:
        unit: label of the unit that it belongs to.
        name: such as `qk` (Q and K jointly), `v`, `o`; of an MLP `in`, `out`.
        writes: whether places are inputs of the map that writes, not outputs of those
            that read.
        places: numbers along the outputs (inputs).
        hidden: width of the model.
    """

    unit: str
    name: str
    layer: int
    site: str
    writes: bool
    places: tuple[int, ...]
    hidden: int

    def __str__(self) -> str:
        return f"{self.unit}/{self.name}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the gradient."""
        width = len(self.places)
        return (width, self.hidden) if self.writes else (self.hidden, width)

    @property
    def shared(self) -> str:
        """Name of the side that all units of the site have."""
        where = f"L{self.layer}" + ("" if self.site == ATTENTION else "MLP")
        return f"{where}/{'output' if self.writes else 'input'}"

    @property
    def own(self) -> str:
        """Name of the side that is this unit's alone."""
        return f"{self.unit}/z" if self.writes else str(self)

    @property
    def left(self) -> str:
        """Name of the side with the inputs."""
        return self.own if self.writes else self.shared

    @property
    def right(self) -> str:
        """Name of the side with the output gradients."""
        return self.shared if self.writes else self.own


@dataclass(frozen=True)
class Unit:
    """What rows are scored for.

    Attributes:
        label: as people write it; units of one label are one.
        blocks: in the order of a flat gradient.
        head: whose attention a probe asks about; None if it has none.
    """

    label: str
    blocks: tuple[Block, ...] = field(compare=False, repr=False)
    head: Head | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.label

    @property
    def sites(self) -> list[Site]:
        """Where its blocks are, ascending."""
        return sorted({(block.layer, block.site) for block in self.blocks})

    @property
    def size(self) -> int:
        """Parameters."""
        return sum(rows * columns for rows, columns in (b.shape for b in self.blocks))
