"""A training run that saves checkpoints on a schedule and resumes from the last."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
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
from headwater.checkpoints.initial import initialise
from headwater.checkpoints.recipe import Recipe, make_optimizer, make_scaler
from headwater.checkpoints.trainer import Batch, train
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
    names = {field.name for field in fields(Recipe)}
    known = {key: value for key, value in config["training"].items() if key in names}
    return Recipe(**{**known, "betas": tuple(known["betas"])}, divisor=divisor)


def new_model(config: Config, vocabulary: int, seed: int) -> GPTNeoXForCausalLM:
    """A randomly initialised GPT-NeoX of the config's `model` section."""
    torch.manual_seed(seed)
    settings = {"vocab_size": vocabulary, **config["model"]}
    init = settings.pop("init", "normal")
    model_config = GPTNeoXConfig(
        **settings,
        max_position_embeddings=config["corpus"]["seq_len"],
        attention_dropout=0.0,
        hidden_dropout=0.0,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPTNeoXForCausalLM(model_config)
    if init == "neox":
        initialise(model, seed)
    return model


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
    model, optimizer, scaler, step = _state(run, start, recipe, config)
    end = run.schedule[-1]
    progress = Progress(run.label, end, "steps", done=step)

    def save(finished: int, loss: float | None) -> None:
        _save(run, model, optimizer, scaler, TrainerState(finished, loss, run.identity))

    if step == run.schedule[0]:
        save(step, None)

    def after(finished: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise HeadwaterError(
                f"{run.label}: the loss is not finite at step {finished}; lower "
                "training.learning_rate"
            )
        if finished in run.schedule:
            save(finished, loss)
        progress.update(note=f"loss {loss:.3f}")

    train(model, optimizer, recipe, batch, range(step, end), after, scaler)


def _state(
    run: Run, start: Path | GPTNeoXForCausalLM, recipe: Recipe, config: Config
) -> tuple[GPTNeoXForCausalLM, torch.optim.AdamW, torch.amp.GradScaler, int]:
    resumable = _latest(run)
    if resumable is not None:
        start = resumable
        logger.info("%s: resuming from %s", run.label, resumable.name)
    model = load_model(start, config) if isinstance(start, Path) else start
    model = model.to(run.device)
    optimizer, scaler = make_optimizer(model, recipe), make_scaler(recipe, model.device)
    if not isinstance(start, Path):
        return model, optimizer, scaler, 0
    load_optimizer(start, model, optimizer, scaler)
    return model, optimizer, scaler, load_state(start, config).step


def _latest(run: Run) -> Path | None:
    """The furthest checkpoint of this run that can be resumed from."""
    names = [f"step{s}" for s in run.schedule] if run.keep_optimizer else [RESUME]
    saved = [run.folder / n for n in names if can_resume(run.folder / n)]
    return saved[-1] if saved else None


def _save(
    run: Run,
    model: GPTNeoXForCausalLM,
    optimizer: torch.optim.AdamW,
    scaler: torch.amp.GradScaler,
    state: TrainerState,
) -> None:
    kept = optimizer if run.keep_optimizer else None
    save_checkpoint(run.folder / f"step{state.step}", model, kept, state, scaler)
    if not run.keep_optimizer:
        save_checkpoint(run.folder / RESUME, model, optimizer, state, scaler)


def step_numbers(folders: Iterable[Path]) -> list[tuple[int, Path]]:
    """(step, folder) of `step<N>` folders, ascending."""
    return sorted((int(path.name.removeprefix("step")), path) for path in folders)
