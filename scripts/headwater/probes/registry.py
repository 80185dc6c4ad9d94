"""The registry of probes, and the data they are asked on."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.models.sites import Model
from headwater.units import HEAD, Subject, Unit

Data = TypeVar("Data", bound="ProbeData")


@dataclass(frozen=True)
class ProbeData:
    """What a probe is asked on; every attribute has an entry a row.

    Attributes:
        tokens: token ids.
    """

    tokens: Int[Tensor, "count length"]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self: Data, rows: slice) -> Data:
        return self._each(lambda values: values[rows])

    def to(self: Data, device: torch.device) -> Data:
        """The same on a device."""
        return self._each(lambda values: values.to(device))

    def _each(self: Data, change: Callable[[Tensor], Tensor]) -> Data:
        return type(self)(*(change(getattr(self, f.name)) for f in fields(self)))


@dataclass(frozen=True)
class Repeats(ProbeData):
    """Sequences in each of which a span of tokens stands twice.

    Attributes:
        first: where its first copy begins.
        second: where its second copy begins, not before the first has ended.
        period: tokens of the span, at least 2.
    """

    first: Int[Tensor, " count"]
    second: Int[Tensor, " count"]
    period: Int[Tensor, " count"]

    def places(
        self, less: int = 0
    ) -> tuple[Int[Tensor, "count span"], Bool[Tensor, "count span"]]:
        """The places in each sequence's span, from 0, and which of them there are.

        A shorter span is padded with its first place.

        Args:
            less: how many of the last places are left out.
        """
        size = (self.period - less)[:, None]
        place = torch.arange(int(size.max()), device=size.device)
        inside = place < size
        return place * inside, inside

    def rows(self) -> Int[Tensor, "count 1"]:
        """The number of each sequence, to index with beside places."""
        return torch.arange(len(self), device=self.tokens.device)[:, None]


@dataclass(frozen=True)
class Wanted(ProbeData):
    """Rows with the tokens asked for at some of their positions.

    Attributes:
        targets: the token asked for at each position.
        weights: how much each position counts; a row's weights sum to 1.
    """

    targets: Int[Tensor, "count length"]
    weights: Float[Tensor, "count length"]


def mean_inside(
    values: Float[Tensor, "count span ..."], inside: Bool[Tensor, "count span"]
) -> Float[Tensor, "count ..."]:
    """Mean of each row's values, without those that only pad it."""
    some = inside.view(*inside.shape, *[1] * (values.ndim - 2))
    return values.where(some, 0).sum(dim=1) / some.sum(dim=1)


# Each probe says in its own signature which data it can be asked on.
ProbeFunction = Callable[[Model, Any, Any], Float[Tensor, " count"]]


@dataclass(frozen=True)
class Probe:
    """A registered probe.

    Attributes:
        name: as written in the config.
        tracks: the head score that follows the same behaviour; it chooses `auto` heads
            and windows.
        function: (model, subject, data) to f of each row of data; higher means that
            it does more of what the probe asks.
        subject: what it looks at: the unit, which must be a head or a neuron (or begin
            with one); any unit; or only what the model says.
    """

    name: str
    tracks: str
    function: ProbeFunction
    subject: Subject = HEAD

    def asked_of(self, unit: Unit) -> Head | Unit | None:
        """What its function looks at when it is asked of a unit.

        Raises:
            HeadwaterError: the unit is not what it looks at, nor begins with one.
        """
        if wrong := unit.lacks(self.subject):
            raise HeadwaterError(f"{unit}: the probe {self.name} {wrong}")
        return {HEAD: unit.head, "model": None}.get(self.subject, unit)


PROBES: dict[str, Probe] = {}
RELEASED: dict[str, Probe] = {}  # as in the paper's released code, where that differs


def probe(
    tracks: str, as_released: bool = False, subject: Subject = HEAD
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register a probe function under the name of its file."""

    def register(function: ProbeFunction) -> ProbeFunction:
        book = RELEASED if as_released else PROBES
        name = function.__module__.rpartition(".")[2]
        book[name] = Probe(name, tracks, function, subject)
        return function

    return register


def find_probe(name: str, as_released: bool = False) -> Probe:
    """A probe by name; `as_released` gives the released code's, where it differs."""
    return RELEASED.get(name, PROBES[name]) if as_released else PROBES[name]
