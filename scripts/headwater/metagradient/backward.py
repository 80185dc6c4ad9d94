"""The way back through the window, segment by segment, for several targets at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.metagradient.adamw import Adjoint, Vector, before
from headwater.metagradient.metric import Metric
from headwater.metagradient.products import curvature
from headwater.metagradient.replay import Replay, Step
from headwater.progress import Progress


@dataclass(frozen=True)
class WayBack:
    """How far the way back is, and what it has found.

    Attributes:
        adjoint: of the state that is reached.
        scores: dF / d weight of every row of the window; 0 where not yet known.
        norms: of the adjoint of the weights, before every step of the window and at its
            end.
        jumps: by how much each step multiplied that norm on the way back.
        values: F at every step at which it is measured.
    """

    adjoint: Adjoint
    scores: Float[Tensor, "targets rows"]
    norms: Float[Tensor, "targets states"]
    jumps: Float[Tensor, "targets steps"]
    values: Float[Tensor, "targets measured"]

    @staticmethod
    def begin(
        like: Vector, targets: int, steps: int, batch_size: int, measured: int
    ) -> "WayBack":
        """At the window's end, with nothing found."""
        empty = partial(like.new_zeros, dtype=torch.float64)
        return WayBack(
            Adjoint.zeros(targets, like),
            like.new_zeros(targets, steps * batch_size),
            empty(targets, steps + 1),
            empty(targets, steps),
            empty(targets, measured),
        )

    def passed(self) -> "WayBack":
        """The same at the window's start, without the adjoint that led there."""
        adjoint = self.adjoint
        nothing = Adjoint.zeros(len(adjoint.weights), adjoint.weights[0, :0])
        return WayBack(**{**vars(self), "adjoint": nothing})

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        own = {k: v for k, v in vars(self).items() if k != "adjoint"}
        return {**own, **{f"adjoint.{k}": v for k, v in vars(self.adjoint).items()}}

    @staticmethod
    def of(tensors: dict[str, Tensor]) -> "WayBack":
        """The same from `tensors`."""
        own = {k: v for k, v in tensors.items() if "." not in k}
        names = ("weights", "first", "second")
        return WayBack(Adjoint(*(tensors[f"adjoint.{k}"] for k in names)), **own)


class Backward:
    """Goes back through segments.

    Args:
        replay: the training.
        metrics: F of every target.
        steps: of the window.
        measured: the steps after which F is measured, ascending.
        anew: whether the adjoint begins anew at each of them, with F there, and what
            comes after is forgotten; else F is their mean.
    """

    def __init__(
        self,
        replay: Replay,
        metrics: Sequence[Metric],
        steps: range,
        measured: Sequence[int],
        anew: bool = False,
    ) -> None:
        self._replay, self._metrics = replay, metrics
        self._steps, self._measured = steps, list(measured)
        self._anew = anew
        self._decay = replay.decay

    def through(
        self,
        steps: Sequence[Step],
        end: Vector,
        way: WayBack,
        progress: Progress | None = None,
    ) -> WayBack:
        """The way back before some steps, given that after them.

        Args:
            steps: of a segment, ascending.
            end: the weights after the last.
            way: its arrays are changed in place.
        """
        adjoint, weights = way.adjoint, end
        for step in reversed(steps):
            self._measure(step.number + 1, weights, adjoint, way)
            adjoint = self._back(step, adjoint, way)
            weights = step.weights
            if progress:
                progress.update()
        return WayBack(**{**vars(way), "adjoint": adjoint})

    def _measure(
        self, reached: int, weights: Vector, adjoint: Adjoint, way: WayBack
    ) -> None:
        if reached in self._measured:
            place = self._measured.index(reached)
            self._replay.put_weights(weights)
            if self._anew:
                for part in vars(adjoint).values():
                    part.zero_()
            count = 1 if self._anew else len(self._measured)
            for target, metric in enumerate(self._metrics):
                found = metric.value_and_gradient(self._replay.model)
                way.values[target, place] = found[0]
                adjoint.weights[target] += found[1] / count
        norms = adjoint.weights.double().norm(dim=1)
        way.norms[:, reached - self._steps.start] = norms

    def _back(self, step: Step, after: Adjoint, way: WayBack) -> Adjoint:
        model, recipe = self._replay.model, self._replay.recipe
        place = step.number - self._steps.start
        rows, weights = self._replay.batch(step.number)
        part = slice(place * len(rows), (place + 1) * len(rows))
        u, adjoint = before(after, step.update, recipe, self._decay)
        self._replay.put_weights(step.weights)
        for target in range(len(self._metrics)):
            found = curvature(model, recipe, rows, weights, u[target])
            adjoint.weights[target] += found.product
            weights = weights.to(found.slopes)
            way.scores[target, part] = found.scores(weights, recipe.divisor)
        norms = adjoint.weights.double().norm(dim=1)
        way.norms[:, place] = norms
        way.jumps[:, place] = norms / way.norms[:, place + 1].clamp(min=1e-300)
        return adjoint
