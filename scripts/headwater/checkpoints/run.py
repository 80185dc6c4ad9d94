"""A training run that saves checkpoints on a schedule and resumes from the last."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.checkpoints.files import (
    TrainerState,
    can_resume,
    load_model,
    load_optimizer,
    load_state,
    save_checkpoint,
)
from headwater.checkpoints.trainer import Batch, Recipe, make_optimizer, train
from headwater.errors import HeadwaterError
from headwater.progress import Progress
from headwater.stages import Config

logger = logging.getLogger("headwater")

RESUME = "resume"


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        label: for progress lines.
        folder: where checkpoints `step<N>` go (an unpublished part).
        schedule: steps to keep a checkpoint of, ascending; the run ends at the last.
        keep_optimizer: whether kept checkpoints hold optimizer state; if not, the state
            to resume from is kept apart in `folder/resume` until the run ends.
        identity: stamped into every checkpoint.
        device: where to train.
    """

    label: str
    folder: Path
    schedule: list[int]
    keep_optimizer: bool
    identity: dict[str, Any]
    device: str = "cpu"


def recipe_of(config: Config, divisor: str = "fixed") -> Recipe:
    """The recipe of the config's `training` section."""
    training = config["training"]
    names = ("learning_rate", "warmup_steps", "eps", "weight_decay", "max_grad_norm")
    betas = tuple(training["betas"])
    return Recipe(betas=betas, divisor=divisor, **{n: training[n] for n in names})


def new_model(config: Config, vocabulary: int, seed: int) -> GPTNeoXForCausalLM:
    """A randomly initialised GPT-NeoX of the config's `model` section."""
    torch.manual_seed(seed)
    settings = {"vocab_size": vocabulary, **config["model"]}
    model_config = GPTNeoXConfig(
        **settings,
        max_position_embeddings=config["corpus"]["seq_len"],
        attention_dropout=0.0,
        hidden_dropout=0.0,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(model_config)


def train_run(
    run: Run,
    start: Path | GPTNeoXForCausalLM,
    recipe: Recipe,
    batch: Batch,
    config: Config,
) -> None:
    """Train from `start` to the end of the schedule, resuming where a killed run was.

    Args:
        run: what to save where.
        start: a checkpoint with optimizer state, or a new model for a run from step 0.
        recipe: the recipe.
        batch: step to (rows, weights), see `trainer.train`.
        config: for checking the checkpoints that are read.

    A resumed run ends with the same bytes as an undisturbed one (on the CPU).

    Raises:
        HeadwaterError: the training diverged, or a checkpoint cannot be read.
    """
    model, optimizer, step = _state(run, start, recipe, config)
    end = run.schedule[-1]
    progress = Progress(run.label, end, "steps", done=step)
    if step == run.schedule[0]:
        _save(run, model, optimizer, step, float("nan"))

    def after(finished: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise HeadwaterError(
                f"{run.label}: the loss is not finite at step {finished}; lower "
                "training.learning_rate"
            )
        if finished in run.schedule:
            _save(run, model, optimizer, finished, loss)
        progress.update(note=f"loss {loss:.3f}")

    train(model, optimizer, recipe, batch, range(step, end), after)


def _state(
    run: Run, start: Path | GPTNeoXForCausalLM, recipe: Recipe, config: Config
) -> tuple[GPTNeoXForCausalLM, torch.optim.AdamW, int]:
    resumable = _latest(run)
    if resumable is not None:
        start = resumable
        logger.info("%s: resuming from %s", run.label, resumable.name)
    if isinstance(start, GPTNeoXForCausalLM):
        model = start.to(run.device)
        return model, make_optimizer(model, recipe), 0
    model = load_model(start, config).to(run.device)
    optimizer = make_optimizer(model, recipe)
    load_optimizer(start, model, optimizer)
    return model, optimizer, load_state(start, config).step


def _latest(run: Run) -> Path | None:
    """The furthest checkpoint of this run that can be resumed from."""
    names = [f"step{s}" for s in run.schedule] if run.keep_optimizer else [RESUME]
    saved = [run.folder / n for n in names if can_resume(run.folder / n)]
    return saved[-1] if saved else None


def _save(
    run: Run,
    model: GPTNeoXForCausalLM,
    optimizer: torch.optim.AdamW,
    step: int,
    loss: float,
) -> None:
    state = TrainerState(step, loss, run.identity)
    kept = optimizer if run.keep_optimizer else None
    save_checkpoint(run.folder / f"step{step}", model, kept, state)
    if not run.keep_optimizer:
        save_checkpoint(run.folder / RESUME, model, optimizer, state)


def step_numbers(folders: Iterable[Path]) -> list[tuple[int, Path]]:
    """(step, folder) of `step<N>` folders, ascending."""
    return sorted((int(path.name.removeprefix("step")), path) for path in folders)
