"""How far other choices would rank the same rows differently.

probe_off_by_one   the paper's released code reads the induction probe one position
too early
detached_heads     it lets gradients flow through one head of each layer only, in
probe, Hessian and scores alike
as_released        both
diagonal           the Fisher's diagonal instead of EK-FAC
identity           no Hessian: the plain product of gradients
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int
from torch import Tensor

from headwater.curvature.ekfac import fit_factors
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.files import Product
from headwater.influence.inverse import solve
from headwater.influence.scores import stream_scores
from headwater.models.sites import Model
from headwater.probes import ProbeData, find_probe
from headwater.units import Unit

# Whether the probe is read too early, whether heads are detached; the Hessian.
VARIANTS = {
    "correct": (False, False, "ekfac"),
    "probe_off_by_one": (True, False, "ekfac"),
    "detached_heads": (False, True, "ekfac"),
    "as_released": (True, True, "ekfac"),
    "diagonal": (False, False, "diagonal"),
    "identity": (False, False, "identity"),
}


@dataclass(frozen=True)
class Question:
    """One target: a probe by name, its unit, and what the probe is asked on."""

    probe: str
    unit: Unit
    data: ProbeData


@dataclass(frozen=True)
class Setting:
    """What all variants share.

    Attributes:
        model: at the checkpoint, on its device.
        fit_rows: token ids of the Hessian's rows.
        rows: token ids of the rows to score.
        damping: relative to the mean eigenvalue.
        fit: options of the Hessian's passes, with the seed of its labels.
        score: options of the scoring pass.
    """

    model: Model
    fit_rows: Int[Tensor, "fitted tokens"]
    rows: Int[Tensor, "rows tokens"]
    damping: float
    fit: PassOptions
    score: PassOptions


def variant_scores(
    setting: Setting, question: Question
) -> Iterator[tuple[str, Float32[np.ndarray, " rows"]]]:
    """Exact scores of the rows under every variant, by name.

    A variant that cannot differ, because the released code has the same probe, is left
    out.
    """
    same_probe = find_probe(question.probe, True) is find_probe(question.probe)
    for name in VARIANTS:
        if not (same_probe and name == "probe_off_by_one"):
            yield name, _scores(setting, question, name)


def _scores(
    setting: Setting, question: Question, variant: str
) -> Float32[np.ndarray, " rows"]:
    unit = question.unit
    early, detached, hessian = VARIANTS[variant]
    cut = unit.head.index if detached and unit.head else None
    fit = replace(setting.fit, only_head=cut)
    factors = fit_factors(setting.model, setting.fit_rows, [unit], fit, hessian)
    probe = find_probe(question.probe, early)
    gradient, _ = probe_gradient(
        setting.model, probe, unit, question.data, detached=detached
    )
    vector = solve(factors, unit.blocks, gradient, setting.damping)
    options = replace(setting.score, only_head=cut)
    product = Product(question.probe, unit, vector)
    scores, _ = stream_scores(setting.model, setting.rows, factors, [product], options)
    return scores[:, 0]
