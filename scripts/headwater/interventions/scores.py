"""The scores of a target that rows can be ranked by (`arms.<name>.score`).

All but those through the training (see the room `metagradient`) follow from the
gradients that `mda` stores, one a row and checkpoint, so they cost a read of the stores
and no pass over the rows. `g` is a row's gradient within the unit, `f` the target's
probe, `H` the EK-FAC Hessian with its damping, `t` the row's place in the window from 0
to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT = "mda"
METAGRADIENT = "metagradient"
# By the name of a smoothing, the score that is the metagradient smoothed so.
SMOOTHED = {
    name: f"{METAGRADIENT}_{name}" for name in ("segments", "subsets", "path", "orders")
}
THROUGH = (METAGRADIENT, *SMOOTHED.values())  # the window's training


@dataclass(frozen=True)
class Score:
    """How rows are scored.

    Attributes:
        formula: what it is, in a line.
        cost: in passes over the rows of the window, there and back, for all targets
            together unless it says otherwise. A training of the window is one pass.
        several: whether it needs several checkpoints of the window.
        trained: whether it needs an optimizer's state.
    """

    formula: str
    cost: str = "1 a checkpoint, and the factors"
    several: bool = False
    trained: bool = False


_NO_FACTORS = "1 a checkpoint"
_THROUGH = "4.4 a target"  # as measured: benchmarks/metagradient.md
_DRAWN = "4.5 a target and draw"

SCORES: Mapping[str, Score] = {
    DEFAULT: Score("-g' (H + damping)^-1 grad f; its mean over checkpoints"),
    "first_checkpoint": Score(
        "mda at the first checkpoint alone", "1, and the factors", several=True
    ),
    "own_time": Score("mda at the last checkpoint before the row", several=True),
    "remaining": Score("mda x (1 - t): what a row moves, lasts for the rest"),
    "own_time_remaining": Score("own_time x (1 - t)", several=True),
    "signed_norm": Score("|g|, with the sign of mda"),
    "per_loss": Score("mda of the logarithm of the row's loss: mda / loss"),
    "adam": Score(
        "-g' (sqrt(v) + eps)^-1 grad f, v as AdamW has it", _NO_FACTORS, trained=True
    ),
    "diagonal": Score("mda with the Fisher's diagonal as H"),
    "gradient_dot": Score("-g' grad f: no Hessian", _NO_FACTORS),
    "gradient_norm": Score("|g|", _NO_FACTORS),
    "damping_hundredth": Score("mda with a hundredth of the damping"),
    "damping_tenth": Score("mda with a tenth of the damping"),
    "damping_tenfold": Score("mda with ten times the damping"),
    "qk": Score("the part of mda that query and key have"),
    "v": Score("the part of mda that the value has"),
    "o": Score("the part of mda that the output has"),
    "circuit": Score(
        "mda, plus that of the head with the highest previous-token score"
    ),
    METAGRADIENT: Score(
        "d f / d weight of the row, through the window's training",
        _THROUGH,
        trained=True,
    ),
    SMOOTHED["segments"]: Score(
        "metagradient of f at the end of the row's own segment of the window",
        _THROUGH,
        trained=True,
    ),
    SMOOTHED["subsets"]: Score(
        "metagradient, its mean over trainings on random halves of the rows",
        _DRAWN,
        trained=True,
    ),
    SMOOTHED["path"]: Score(
        "metagradient, its mean over trainings with all rows at weights from 0 to 1",
        _DRAWN,
        trained=True,
    ),
    SMOOTHED["orders"]: Score(
        "metagradient, its mean over random orders of the window's rows",
        _DRAWN,
        trained=True,
    ),
}


def metagradient_targets(config: Mapping[str, Any]) -> list[str]:
    """The targets whose rows reports or arms rank by it, in their order."""
    return _ranked_by({METAGRADIENT}, config)


def smoothings(config: Mapping[str, Any]) -> list[str]:
    """The smoothings of the metagradient that reports or arms rank by."""
    named = {arm.get("score") for arm in config["arms"].values()}
    named.add(config["influence"]["method"])
    return [name for name, score in SMOOTHED.items() if score in named]


def smoothed_targets(config: Mapping[str, Any]) -> list[str]:
    """The targets for which each of the `smoothings` is made, in their order."""
    return _ranked_by({*SMOOTHED.values()}, config)


def through_scores(config: Mapping[str, Any], target: str) -> list[str]:
    """The scores through the training that are made for a target."""
    plain = [METAGRADIENT] * (target in metagradient_targets(config))
    if target not in smoothed_targets(config):
        return plain
    return [*plain, *(SMOOTHED[name] for name in smoothings(config))]


def _ranked_by(scores: set[str], config: Mapping[str, Any]) -> list[str]:
    if config["influence"]["method"] in scores:
        return list(config["targets"])
    arms = config["arms"].values()
    named = {arm.get("target") for arm in arms if arm.get("score") in scores}
    return [name for name in config["targets"] if name in named]
