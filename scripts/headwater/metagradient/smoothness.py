"""How the adjoint grew on the way back, and what to do where it grew too fast.

A derivative tells of small changes only. Where one update multiplies the adjoint many
times (a batch of rare tokens, whose second moments are as small as AdamW's eps), what
lies before that update is scored by that one direction, and a step of any size leaves
the range in which the derivative holds.
"""

from itertools import pairwise
from math import prod
from typing import Any

from headwater.logs import logger
from headwater.metagradient.backward import WayBack

# One step that multiplied the adjoint 27 times made noise of all scores before it;
# where the worst step was 1.7, 400 steps multiplied it 25 times and scores were right;
# where it was 1.5, and 500 steps multiplied it 1,000 times, they were noise.
JUMP, GROWTH = 5.0, 100.0
SHOWN = 5  # of the steps that multiply it most

ADVICE = (
    "scores of rows before step {step} may be noise: take a larger training.eps "
    "(1e-6), metagradient.metric: mean, or a shorter window"
)
ADVICE_ANEW = (
    "scores of rows before step {step}, in its segment, may be noise: take a larger "
    "training.eps (1e-6), or a shorter metagradient.segment"
)


def smoothness(
    way: WayBack,
    targets: list[str],
    steps: range,
    measured: list[int],
    anew: bool = False,
) -> dict[str, Any]:
    """What is told of every target: F, the adjoint's growth, and advice where needed.

    Args:
        targets: their names, in the order of the arrays.
        steps: of the window.
        measured: the steps after which F was measured.
        anew: whether the adjoint began anew there; then its growth is that of the
            segment in which it grew most.
    """
    return {
        name: _of_target(way, number, steps, measured, anew)
        for number, name in enumerate(targets)
    }


def _of_target(
    way: WayBack, target: int, steps: range, measured: list[int], anew: bool
) -> dict[str, Any]:
    jumps, norms = way.jumps[target].tolist(), way.norms[target].tolist()
    size = way.scores.shape[1] // len(steps)
    order = sorted(range(len(jumps)), key=lambda place: (-jumps[place], place))
    worst = [
        {
            "step": steps[place],
            "rows": [steps[place] * size, (steps[place] + 1) * size - 1],
            "factor": jumps[place],
        }
        for place in order[:SHOWN]
    ]
    ends = [s - steps.start for s in measured] if anew else [len(steps)]
    parts = pairwise([0, *ends])
    growth = max(prod(jumps[start:stop]) for start, stop in parts)
    lost = jumps[order[0]] > JUMP or growth > GROWTH
    advice = ADVICE_ANEW if anew else ADVICE
    return {
        "values": dict(
            zip(map(str, measured), way.values[target].tolist(), strict=True)
        ),
        "growth": growth,
        "smooth": not lost,
        "advice": advice.format(step=steps[order[0]]) if lost else "",
        "worst": worst,
        "norms": dict(zip(map(str, [*steps, steps.stop]), norms, strict=True)),
    }


def tell(found: dict[str, Any]) -> None:
    """Log what was found of every target."""
    for name, one in found.items():
        worst = one["worst"][0]
        text = "%s: the adjoint grew %.3g times over the window, at most %.3g times in "
        logger.info(
            f"{text}one step (%d, rows %d to %d)",
            *(name, one["growth"], worst["factor"], worst["step"], *worst["rows"]),
        )
        if not one["smooth"]:
            logger.warning("%s: %s", name, one["advice"])
