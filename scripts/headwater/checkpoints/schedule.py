"""At which training steps a run is saved, and at which of them influence is measured.

Pythia (arXiv 2304.01373) saved steps 0, 1, 2, 4, ..., 512 and then every 1000th: early
training changes fast. The same here, with the interval free.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.checkpoints.revisions import revision_steps
from headwater.publish import write_json
from headwater.steps import ENDED

if TYPE_CHECKING:
    from headwater.corpus.window import Window

LAST_POWER = 512
RESUME = "resume"  # folder of the state to resume from, beside those of the steps


def checkpoint_steps(steps: int, every: int) -> list[int]:
    """The steps with a checkpoint, ascending.

    They are 0, the powers of two up to 512, the multiples of `every`, and the last
    step, none of them above `steps`.
    """
    powers = {1 << bits for bits in range(LAST_POWER.bit_length())}
    regular = set(range(0, steps + 1, every))
    return sorted(step for step in powers | regular | {0, steps} if step <= steps)


def saved_steps(config: Mapping[str, Any]) -> list[int]:
    """The steps with a checkpoint in an experiment, ascending.

    Its baseline is trained, or consists of the revisions `step<N>` that
    `checkpoints.revisions` lists.
    """
    checkpoints = config.get("checkpoints", {})
    if "revisions" in checkpoints:
        return sorted(revision_steps(checkpoints).values())
    training = config["training"]
    return checkpoint_steps(training["steps"], training["checkpoint_every"])


def arm_schedule(start: int, end: int, every: int) -> list[int]:
    """Steps at which an arm is kept: both ends, and the multiples of `every` between.

    All are checkpoints of the baseline too, since `every` is a multiple of its interval
    and the ends are checkpoints; counting from a `start` like 512 would miss them.
    """
    first = start - start % every + every
    return sorted({start, *range(first, end, every), end})


def compared_steps(window: "Window", config: Mapping[str, Any]) -> list[int]:
    """The steps at which arms are kept and compared with the baseline."""
    every = config["retraining"]["checkpoint_every"]
    return arm_schedule(window.start, window.end, every)


def point_names(window: Mapping[str, Any]) -> list[str]:
    """The checkpoints at which influence is measured: `start`, `point1`, ..., or `end`.

    Which steps they are is known only when the window has been found, so paths carry
    these roles.
    """
    if window["score_at"] == "end":
        return ["end"]
    return ["start", *(f"point{i}" for i in range(1, window["checkpoints"]))]


def mark_ended(folder: Path, end: int) -> None:
    """Say in the place of a step's checkpoint that the run ended before it."""
    folder.mkdir(exist_ok=True)
    write_json(folder / ENDED, {"ended_at_step": end})
