"""The registry of probes, and the data they are asked on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headwater.geometry import Head
from headwater.neox import Model


@dataclass(frozen=True)
class ProbeData:
    """What a probe is asked on.

    Attributes:
        tokens: token ids.
        targets: for `dataset`: the token asked for at each position.
        weights: for `dataset`: how much each position counts; a row's weights sum to 1.
    """

    tokens: Int[Tensor, "count length"]
    targets: Int[Tensor, "count length"] | None = None
    weights: Float[Tensor, "count length"] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice) -> "ProbeData":
        targets = None if self.targets is None else self.targets[rows]
        weights = None if self.weights is None else self.weights[rows]
        return ProbeData(self.tokens[rows], targets, weights)

    def to(self, device: torch.device) -> "ProbeData":
        """The same on a device."""
        targets = None if self.targets is None else self.targets.to(device)
        weights = None if self.weights is None else self.weights.to(device)
        return ProbeData(self.tokens.to(device), targets, weights)


ProbeFunction = Callable[[Model, Head, ProbeData], Float[Tensor, " count"]]


@dataclass(frozen=True)
class Probe:
    """A registered probe.

    Attributes:
        name: as written in the config.
        tracks: the head score that follows the same behaviour; it chooses `auto` heads
            and windows.
        function: (model, head, data) to f of each row of data; higher means the head
            does more of what the probe asks.
    """

    name: str
    tracks: str
    function: ProbeFunction


PROBES: dict[str, Probe] = {}
RELEASED: dict[str, Probe] = {}  # as in the paper's released code, where that differs


def probe(
    tracks: str, as_released: bool = False
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register a probe function under the name of its file."""

    def register(function: ProbeFunction) -> ProbeFunction:
        book = RELEASED if as_released else PROBES
        name = function.__module__.rpartition(".")[2]
        book[name] = Probe(name, tracks, function)
        return function

    return register


def find_probe(name: str, as_released: bool = False) -> Probe:
    """A probe by name; `as_released` gives the released code's, where it differs."""
    return RELEASED.get(name, PROBES[name]) if as_released else PROBES[name]
