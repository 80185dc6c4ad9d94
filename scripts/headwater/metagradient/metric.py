"""F, what is differentiated: the value of a target's probe, at steps of the window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from headwater.heads.probe_data import probe_data
from headwater.heads.targets import read_target
from headwater.identity import Config
from headwater.metagradient.adamw import Vector
from headwater.models.sections import unit_of
from headwater.models.sites import Model
from headwater.probes import Probe, ProbeData, find_probe
from headwater.units import Unit

BATCH = 64  # sequences


@dataclass(frozen=True)
class Metric:
    """A target's probe.

    Attributes:
        unit: what the probe is asked of.
        data: what it is asked on.
    """

    probe: Probe
    unit: Unit
    data: ProbeData

    def value_and_gradient(self, model: Model) -> tuple[float, Vector]:
        """Mean of f over its rows, and the gradient with respect to all parameters."""
        return self._asked(model, gradient=True)

    def value(self, model: Model) -> float:
        """Mean of f over its rows."""
        return self._asked(model, gradient=False)[0]

    def _asked(self, model: Model, gradient: bool) -> tuple[float, Vector]:
        subject, parameters = self.probe.asked_of(self.unit), list(model.parameters())
        before = model.config._attn_implementation
        model.set_attn_implementation("eager")
        total, flat = 0.0, torch.cat([p.detach().flatten() * 0 for p in parameters])
        try:
            for start in range(0, len(self.data), BATCH):
                rows = self.data[start : start + BATCH].to(model.device)
                with torch.set_grad_enabled(gradient):
                    values = self.probe.function(model, subject, rows)
                total += float(values.detach().double().sum())
                if gradient:
                    found = torch.autograd.grad(
                        values.sum(), parameters, materialize_grads=True
                    )
                    flat += torch.cat([g.flatten() for g in found])
        finally:
            model.set_attn_implementation(before)
        return total / len(self.data), flat / len(self.data)


def metrics_of(
    targets: Iterable[str | Path], held_out: str, tokenizer: str, config: Config
) -> dict[str, Metric]:
    """F of some targets, by name.

    Args:
        targets: their files `heads/targets/<name>.json`.
        held_out: the held-out store, which knows the corpus's token counts.
    """
    found = {}
    for path in map(Path, targets):
        target = read_target(path, config)
        settings = config["targets"][path.stem]
        data = probe_data(settings, held_out, tokenizer, config)
        unit = unit_of(target.unit, config)
        found[path.stem] = Metric(find_probe(target.probe), unit, data)
    return found


def measured_steps(compared: Sequence[int], metric: str) -> list[int]:
    """The steps after which F is measured; it is their mean.

    Args:
        compared: those at which arms are compared with the baseline, from the window's
            start, at which no row has changed anything yet.
        metric: `mean` of all, or `end`.
    """
    return list(compared[-1:] if metric == "end" else compared[1:])
