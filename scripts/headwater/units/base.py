"""A unit of a model as data: a label, and the blocks of parameters that it consists of.

A block is some rows or columns of a linear map, or of several maps that share their
input. Its gradient over a row is a product of two sides, summed over tokens:

    reads   X^T dY[:, places]   [hidden, places]   X: the maps' input
    writes  Z[:, places]^T dY   [places, hidden]   Z: input of the map that writes

Every sort of unit is a file of this folder with a `SORT`. Free of torch.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal

from headwater.geometry import Geometry, Head

Mode = Literal["qk", "qkvo", "qo"]
ATTENTION, MLP = "attention", "mlp"
Subject = Literal["head", "neuron", "unit", "model"]  # what a probe looks at
Site = tuple[int, str]  # a layer's attention or MLP
HEAD: Final = "head"
NEURON: Final = "neuron"
_NUMBER = r"(0|[1-9]\d*)"
_ANY = r"(\*|0|[1-9]\d*)"


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
        word: what people call one of its sort.
        first: what they call the first member of a circuit, of which probes ask.
        heads: all heads that it has parts of; its curve is that of the best of them.
    """

    label: str
    blocks: tuple[Block, ...] = field(compare=False, repr=False)
    word: str = field(default="unit", compare=False, repr=False)
    first: str = field(default="unit", compare=False, repr=False)
    heads: tuple[Head, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return self.label

    @property
    def head(self) -> Head | None:
        """The head that it is, or begins with."""
        return self.heads[0] if self.first == HEAD else None

    @property
    def sites(self) -> list[Site]:
        """Where its blocks are, ascending."""
        return sorted({(block.layer, block.site) for block in self.blocks})

    @property
    def size(self) -> int:
        """Parameters."""
        return sum(rows * columns for rows, columns in (b.shape for b in self.blocks))

    def lacks(self, subject: Subject) -> str | None:
        """Why a probe of some subject cannot be asked of it, in words."""
        if subject not in (HEAD, NEURON) or self.first == subject:
            return None
        return f"asks about a {subject}; name one, or a circuit that begins with one"


@dataclass(frozen=True)
class Place:
    """Which unit of its sort one is; a whole layer's has the number 0."""

    label: str
    layer: int
    number: int = 0


@dataclass(frozen=True)
class Sort:
    """A sort of unit.

    Attributes:
        word: what people call one.
        form: of its labels; `{}` stands for the layer, and the number in the layer.
        count: how many a layer has.
        heads: the heads of the layer that one has parts of, by number.
        blocks: its blocks; the mode is of attention, and says nothing of an MLP.
    """

    word: str
    form: str
    count: Callable[[Geometry], int]
    heads: Callable[[Place, Geometry], list[int]]
    blocks: Callable[[Place, Geometry, Mode], Iterator[Block]]

    def place(self, label: str) -> Place | None:
        """The unit that a label names; None if it is none of this sort."""
        found = re.fullmatch(self.form.replace("{}", _NUMBER), label)
        return Place(label, *map(int, found.groups())) if found else None

    def problem(self, place: Place, sizes: Geometry) -> str | None:
        """What such a model does not have, in words."""
        if place.layer >= sizes.layers:
            return f"the model has layers 0..{sizes.layers - 1}"
        last = self.count(sizes) - 1
        if place.number > last:
            return f"the model has {self.word}s 0..{last} in each layer"
        return None

    def matching(self, pattern: str, sizes: Geometry) -> Iterator[str]:
        """Labels that a pattern stands for, where `*` stands for every number."""
        found = re.fullmatch(self.form.replace("{}", _ANY), pattern)
        if not found:
            return
        counts = sizes.layers, self.count(sizes)
        numbers = [
            range(count) if text == "*" else (int(text),)
            for text, count in zip(found.groups(), counts, strict=False)
        ]
        for place in product(*numbers):
            yield self.form.format(*place)

    def unit(self, place: Place, sizes: Geometry, mode: Mode) -> Unit:
        """A unit of this sort."""
        blocks = tuple(self.blocks(place, sizes, mode))
        heads = tuple(Head(place.layer, index) for index in self.heads(place, sizes))
        return Unit(place.label, blocks, self.word, self.word, heads)
