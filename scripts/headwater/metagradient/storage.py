"""Which states of the window are kept, and which are made again on the way back.

The window is cut into *segments*. On the way back one segment at a time has all its
states in memory, made again by the trainer from the state before it. That is a
checkpoint of the baseline where there is one. Where too many steps lie between two
checkpoints for the space there is, they are cut further, and the states there are found
by training on the way there and kept on disk. The gradients of that training are kept,
too, as far as space allows, so that states follow from them elementwise. Space saves
time; results are the same.

    states/<segment>.safetensors      `State` before a segment, where no checkpoint is
    gradients/<segment>.safetensors   of its steps, before clipping
    way_back.safetensors              how far the way back is (`backward`)
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from headwater.checkpoints.files import load_tensors
from headwater.errors import HeadwaterError
from headwater.metagradient.replay import State
from headwater.publish import publish_file

GB = 10**9
NUMBER = 4  # bytes
STATE, STEP = 3, 4  # numbers of a parameter; a kept gradient is one
# Besides: the model, its gradient and moments, the vectors in use, and an adjoint of
# each target with one more while it is written.
WORK, TARGET = 12, 6


@dataclass(frozen=True)
class Plan:
    """How the window is cut.

    Attributes:
        segments: their steps; together those of the window.
        there: the segments that are trained on the way there, since no checkpoint
            follows them.
        kept: those of them whose gradients are kept.
    """

    segments: tuple[range, ...]
    there: tuple[int, ...]
    kept: tuple[int, ...] = ()

    @property
    def steps(self) -> range:
        """Of the training, in the window."""
        return range(self.segments[0].start, self.segments[-1].stop)

    @property
    def identity(self) -> dict[str, object]:
        """What must be the same for a killed run to go on, JSON-able."""
        segments = [[part.start, part.stop] for part in self.segments]
        return {"cut": segments, "kept": self.kept}

    @property
    def trained(self) -> float:
        """How many trainings of the window are made besides the way back's products."""
        twice = [n for n in self.there if n not in self.kept]
        again = sum(len(self.segments[n]) for n in twice)
        return 1 + again / len(self.steps)


def cut(steps: range, checkpoints: Collection[int], length: int) -> Plan:
    """Segments of at most `length` steps, none over a checkpoint."""
    ends = sorted({step for step in checkpoints if step in steps} | {steps.stop})
    starts = [steps.start, *(end for end in ends if end > steps.start)]
    segments = [
        range(start, min(start + length, stop))
        for first, stop in pairwise(starts)
        for start in range(first, stop, length)
    ]
    there = [n for n, part in enumerate(segments) if part.stop not in ends]
    return Plan(tuple(segments), tuple(there))


def plan_space(
    steps: range,
    checkpoints: Collection[int],
    parameters: int,
    targets: int,
    budget: float,
) -> Plan:
    """The plan that computes least within a budget, on disk and in memory together.

    Args:
        steps: of the window.
        checkpoints: steps with a state to begin at, the window's first among them.
        budget: bytes.

    Raises:
        HeadwaterError: the budget is too small for any plan.
    """
    one = NUMBER * parameters
    whole = cut(steps, checkpoints, len(steps))
    longest = max(len(part) for part in whole.segments)
    least, found = math.inf, []
    for pieces in range(1, 2 * math.isqrt(longest) + 2):  # more of them save no space
        length = math.ceil(longest / pieces)
        plan = cut(steps, checkpoints, length)
        states = STATE * len(plan.there) + STEP * length
        needed = one * (WORK + TARGET * targets + states)
        if needed <= budget:
            fit = int((budget - needed) // (one * length))
            found.append(Plan(plan.segments, plan.there, plan.there[:fit]))
        least = min(least, needed)
    if found:
        return min(found, key=lambda plan: plan.trained)
    raise HeadwaterError(
        f"metagradient.space_gb: {budget / GB:g} GB is too little for {len(steps)} "
        f"steps of {parameters:,} parameters and {targets} targets; set it to "
        f"{math.ceil(least / GB * 1000) / 1000:g} or more, or shorten the window"
    )


class Store:
    """What is kept of the window, in a folder; every file is whole or absent."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device

    def has(self, segment: int) -> bool:
        """Whether the state before a segment is kept."""
        return self._state(segment).is_file()

    def keep_state(self, segment: int, state: State) -> None:
        """Keep the state before a segment."""
        tensors = {
            name: getattr(state, name) for name in ("weights", "first", "second")
        }
        self.write(
            self._state(segment), {**tensors, "count": torch.tensor(state.count)}
        )

    def state(self, segment: int) -> State:
        """The state before a segment."""
        found = self.read(self._state(segment))
        count = int(found["count"])
        return State(found["weights"], found["first"], found["second"], count)

    def keep_gradients(self, segment: int, gradients: Sequence[Tensor]) -> None:
        """Keep the gradients of a segment's steps."""
        tensors = {str(place): x for place, x in enumerate(gradients)}
        self.write(self._gradients(segment), tensors)

    def gradients(self, segment: int) -> list[Tensor]:
        """The kept gradients of a segment's steps."""
        found = self.read(self._gradients(segment))
        return [found[str(place)] for place in range(len(found))]

    def keep_way(self, segment: int, way: dict[str, Tensor]) -> None:
        """Keep the way back before a segment, and remove what it has passed."""
        self.write(self.way_back, {**way, "left": torch.tensor(segment)})
        self._state(segment + 1).unlink(missing_ok=True)
        self._gradients(segment).unlink(missing_ok=True)

    @property
    def way_back(self) -> Path:
        """The file of the way back."""
        return self._folder / "way_back.safetensors"

    def write(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """Write tensors to a file, whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with publish_file(path) as part:
            save_file({k: v.contiguous() for k, v in tensors.items()}, part)

    def read(self, path: Path) -> dict[str, Tensor]:
        """The tensors of a file, on the device."""
        return {k: v.to(self._device) for k, v in load_tensors(path).items()}

    def _state(self, segment: int) -> Path:
        return self._folder / "states" / f"{segment}.safetensors"

    def _gradients(self, segment: int) -> Path:
        return self._folder / "gradients" / f"{segment}.safetensors"
