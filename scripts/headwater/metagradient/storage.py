"""Which states of the window are kept, and which are made again on the way back.

The window is cut into *segments*. On the way there the state before each of them is
kept on disk, and the gradients of the steps of some of them. On the way back one
segment at a time has all its states in memory: made again elementwise where its
gradients were kept, by the trainer where not. More space buys kept gradients, which
save a training step each; results are the same.

    states/<segment>.safetensors      `State` before a segment; the last, after all
    gradients/<segment>.safetensors   of its steps, before clipping
    way_back.safetensors              how far the way back is (`backward`)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from headwater.checkpoints.files import load_tensors
from headwater.errors import HeadwaterError
from headwater.metagradient.replay import State
from headwater.publish import publish_file

GB = 10**9
STATE, STEP, GRADIENT = 3, 4, 1  # numbers of a parameter
# Besides: the model, its gradient and moments, the vectors in use, and an adjoint of
# each target with one more while it is written.
WORK, TARGET = 12, 6


@dataclass(frozen=True)
class Plan:
    """How the window is cut.

    Attributes:
        steps: of the training, in the window.
        length: steps of a segment, but perhaps the last.
        kept: how many segments' gradients are kept, those of the last ones.
    """

    steps: range
    length: int
    kept: int

    @property
    def segments(self) -> list[range]:
        """The steps of each."""
        return [self.steps[i : i + self.length] for i in self._starts()]

    def is_kept(self, segment: int) -> bool:
        """Whether its gradients are."""
        return segment >= len(self._starts()) - self.kept

    @property
    def repeated(self) -> float:
        """Share of the steps whose gradients are computed twice."""
        again = [s for i, s in enumerate(self.segments) if not self.is_kept(i)]
        return sum(map(len, again)) / len(self.steps)

    def _starts(self) -> range:
        return range(0, len(self.steps), self.length)


def plan_space(
    steps: range, parameters: int, targets: int, budget: float, number: int = 4
) -> Plan:
    """The plan that computes least within a budget, on disk and in memory together.

    Args:
        steps: of the window.
        budget: bytes.
        number: bytes of one.

    Raises:
        HeadwaterError: the budget is too small for any plan.
    """
    one = number * parameters
    length = max(1, round(math.sqrt(STATE * len(steps) / STEP)))
    count = math.ceil(len(steps) / length)
    least = one * (WORK + TARGET * targets + STATE * (count + 1) + STEP * length)
    if least > budget:
        raise HeadwaterError(
            f"metagradient.space_gb: {budget / GB:g} GB is too little for {len(steps)} "
            f"steps of {parameters:,} parameters and {targets} targets; set it to "
            f"{math.ceil(least / GB * 100) / 100:g} or more, or shorten the window"
        )
    kept = int((budget - least) // (one * GRADIENT * length))
    return Plan(steps, length, min(kept, count))


class Store:
    """What is kept of the window, in a folder; every file is whole or absent."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device

    def reached(self, segments: int) -> int | None:
        """The last segment before which a state was kept; None at the very beginning.

        Args:
            segments: how many there are.
        """
        there = (i for i in range(segments, -1, -1) if self._state(i).is_file())
        return next(there, None)

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
