"""The trainer's own steps once more, and what each leaves for the way back.

A step is made by `training.trainer`, of which nothing is written twice: so the states
are those of the run, bit for bit. Where a step's gradient was kept, only the update is
made again, which is elementwise; else the gradient is computed again, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from headwater.checkpoints.files import load_optimizer, load_state, load_tensors
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.metagradient.adamw import Update, Vector
from headwater.models.sites import Model, load_published
from headwater.training.recipe import Recipe, make_scaler
from headwater.training.trainer import Batches, add_gradient, update


@dataclass(frozen=True)
class State:
    """A state of a training, flat in the order of the model's parameters.

    Attributes:
        first: AdamW's first moments; `second` likewise.
        count: updates made so far.
    """

    weights: Vector
    first: Vector
    second: Vector
    count: int


@dataclass(frozen=True)
class Step:
    """One step of the training, as the way back needs it.

    Attributes:
        number: of the training's steps.
        weights: before its update.
        update: what its update was made of.
    """

    number: int
    weights: Vector
    update: Update


class Replay:
    """A training that can be put into any state and stepped on.

    Attributes:
        model: on its device; changed in place.
        recipe: of the training.
        batch: step to rows and weights.

    Args:
        optimizer: the trainer's; changed in place.

    Raises:
        HeadwaterError: the updates are not those that can be gone through backwards.
    """

    def __init__(
        self,
        model: Model,
        optimizer: torch.optim.AdamW,
        recipe: Recipe,
        batch: Batches,
    ) -> None:
        check_known(optimizer, recipe)
        self.model, self.recipe, self.batch = model.train(), recipe, batch
        self._optimizer = optimizer
        self._scaler = make_scaler(recipe, model.device)
        self._parameters = list(model.parameters())
        self._sizes = [p.numel() for p in self._parameters]

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(self._sizes)

    @property
    def decay(self) -> Vector:
        """Weight decay of every parameter."""
        groups = self._optimizer.param_groups
        own = {
            id(p): group["weight_decay"] for group in groups for p in group["params"]
        }
        return _flat([torch.full_like(p, own[id(p)]) for p in self._parameters])

    def state(self) -> State:
        """The present state, copied."""
        found = [self._optimizer.state.get(p) or {} for p in self._parameters]
        first, second = (
            _flat(
                [
                    own.get(name, torch.zeros_like(p))
                    for own, p in zip(found, self._parameters, strict=True)
                ]
            )
            for name in ("exp_avg", "exp_avg_sq")
        )
        count = max(int(own.get("step", 0)) for own in found)
        return State(_flat(self._parameters), first, second, count)

    def put(self, state: State) -> None:
        """Go to a state."""
        self.put_weights(state.weights)
        moments = zip(self._split(state.first), self._split(state.second), strict=True)
        for parameter, (first, second) in zip(self._parameters, moments, strict=True):
            self._optimizer.state[parameter] = {
                "step": torch.tensor(float(state.count), device=parameter.device),
                "exp_avg": first.clone(),
                "exp_avg_sq": second.clone(),
            }

    @torch.no_grad()
    def put_weights(self, weights: Vector) -> None:
        """Give the model other weights."""
        for own, other in zip(self._parameters, self._split(weights), strict=True):
            own.copy_(other)

    def step(self, number: int) -> Vector:
        """Make one step of the training; returns its gradient before clipping."""
        self._find_gradient(number)
        gradient = self._gradient(number)
        update(self.model, self._optimizer, self.recipe, number, self._scaler)
        return gradient

    def load(self, folder: Path, config: Config) -> State:
        """Go to the state of a checkpoint.

        Raises:
            HeadwaterError: it is damaged, or has no optimizer state.
        """
        load_state(folder, config)
        load_published(self.model, load_tensors(folder / "model.safetensors"))
        self._optimizer.state.clear()
        load_optimizer(folder, self.model, self._optimizer)
        return self.state()

    def steps(
        self, numbers: range, gradients: Sequence[Vector] | None = None
    ) -> Iterator[Step]:
        """Go through some steps from the present state, which is that before them.

        Args:
            gradients: those of the steps, as they were before clipping, if kept.
        """
        for place, number in enumerate(numbers):
            weights = _flat(self._parameters)
            if gradients is None:
                self._find_gradient(number)
            else:
                self._set_gradient(gradients[place])
            gradient = self._gradient(number)
            norm = update(
                self.model, self._optimizer, self.recipe, number, self._scaler
            )
            after = self.state()
            rate = self._optimizer.param_groups[0]["lr"]
            made = Update(
                gradient, float(norm), after.first, after.second, after.count, rate
            )
            yield Step(number, weights, made)

    def _find_gradient(self, number: int) -> None:
        rows, weights = self.batch(number)
        self._optimizer.zero_grad(set_to_none=True)
        add_gradient(self.model, self.recipe, rows, weights, self._scaler)

    def _set_gradient(self, gradient: Vector) -> None:
        pieces = self._split(gradient)
        for parameter, piece in zip(self._parameters, pieces, strict=True):
            parameter.grad = piece.clone()

    def _gradient(self, number: int) -> Vector:
        found = [p.grad for p in self._parameters if p.grad is not None]
        if len(found) < len(self._parameters):
            raise HeadwaterError(
                f"metagradient: step {number} trains only {len(found)} of "
                f"{len(self._parameters)} weight matrices and vectors; take another "
                "score for this model"
            )
        return _flat(found)

    def _split(self, flat: Vector) -> list[Tensor]:
        pieces = flat.split(self._sizes)
        pairs = zip(pieces, self._parameters, strict=True)
        return [piece.view_as(p) for piece, p in pairs]


def check_known(optimizer: torch.optim.Optimizer, recipe: Recipe) -> None:
    """Refuse updates that the formulas of `adamw` are not about.

    Raises:
        HeadwaterError: says which.
    """
    groups = optimizer.param_groups
    changed = [k for k in ("amsgrad", "maximize") if any(g.get(k) for g in groups)]
    if type(optimizer) is not torch.optim.AdamW or changed:
        name = " ".join([type(optimizer).__name__, *changed])
        raise HeadwaterError(
            f"metagradient: the optimizer {name} cannot be gone through backwards; "
            "only AdamW can"
        )
    if recipe.precision == "fp16":
        raise HeadwaterError(
            "training.precision: fp16 leaves out updates that overflow, through which "
            "no metagradient goes; set bf16 or fp32, or take another score"
        )


def _flat(tensors: Sequence[Tensor]) -> Vector:
    """Copied, one after the other."""
    return torch.cat([x.detach().flatten() for x in tensors])
