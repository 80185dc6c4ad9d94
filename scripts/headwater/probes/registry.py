"""The registry of probes."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.geometry import Head

ProbeFunction = Callable[[GPTNeoXForCausalLM, Head, Tensor], Tensor]


@dataclass(frozen=True)
class Probe:
    """A registered probe.

    Attributes:
        name: as written in the config.
        tracks: the head score that follows the same behaviour; it chooses `auto` heads
            and windows.
        function: (model, head, tokens [batch, 2 * half]) to f of each sequence [batch];
            higher means the head does more of what the probe asks.
    """

    name: str
    tracks: str
    function: ProbeFunction


PROBES: dict[str, Probe] = {}


def probe(name: str, tracks: str) -> Callable[[ProbeFunction], ProbeFunction]:
    """Register a probe function under `name`."""

    def register(function: ProbeFunction) -> ProbeFunction:
        PROBES[name] = Probe(name, tracks, function)
        return function

    return register
