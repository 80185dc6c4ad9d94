"""A training run that saves checkpoints on a schedule and resumes from the last."""

import math
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from headwater.checkpoints.files import (
    TrainerState,
    can_resume,
    load_model,
    load_optimizer,
    load_state,
    save_checkpoint,
)
from headwater.checkpoints.schedule import RESUME
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.logs import logger
from headwater.models.sections import kind_of, settings
from headwater.models.sites import Model, config_class
from headwater.models.sites import new_model as model_of
from headwater.progress import Progress
from headwater.publish import part_of, work_folder
from headwater.steps import step_name
from headwater.training.initial import initialise
from headwater.training.ranks import END, GO_ON, SAVE, STOP, Ranks
from headwater.training.recipe import Recipe, make_optimizer, make_scaler
from headwater.training.stopping import StopRule
from headwater.training.trainer import Batches, train

SAVE_SECONDS = 600  # of work are lost at most when a node dies


class Stopped(Exception):
    """The run was asked to stop; its state is saved, to go on from."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        label: for progress lines.
        folder: where checkpoints `step<N>` go (an unpublished part).
        schedule: steps to keep a checkpoint of, ascending; the run ends at the last.
        keep_optimizer: whether kept checkpoints hold optimizer state; if not, the state
            to resume from is kept apart in `folder/resume` until the run ends. States
            saved between checkpoints always stand there.
        identity: stamped into every checkpoint.
        device: where to train.
        stop: ends the run before the schedule's end; None never does.
    """

    label: str
    folder: Path
    schedule: list[int]
    keep_optimizer: bool
    identity: dict[str, Any]
    device: str = "cpu"
    stop: StopRule | None = None

    @property
    def end(self) -> int:
        """Its last step, as far as it is known."""
        return self.stop.end if self.stop else self.schedule[-1]


@contextmanager
def shared_work(target: Path, identity: dict[str, Any], ranks: Ranks) -> Iterator[Path]:
    """Like `publish.work_folder`, held by rank 0 for all ranks."""
    if ranks.rank > 0:
        ranks.check_same(0)  # rank 0 has opened it
        yield part_of(target)
        return
    with work_folder(target, identity) as part:
        ranks.check_same(0)
        yield part


@contextmanager
def saved_at_sigterm() -> Iterator[Ranks]:
    """This process, as the only rank; at SIGTERM it ends its step, saves, and dies."""
    ranks = Ranks()

    def stop(number: int, frame: Any) -> None:
        ranks.wish = END

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield ranks
    except Stopped:
        logger.info("stopped, and saved")
    finally:
        signal.signal(signal.SIGTERM, before)
    if ranks.wish == END:
        signal.raise_signal(signal.SIGTERM)


def recipe_of(config: Config, divisor: str = "fixed") -> Recipe:
    """The recipe of the config's `training` section."""
    names = {field.name for field in fields(Recipe)}
    known = {key: value for key, value in config["training"].items() if key in names}
    return Recipe(**{**known, "betas": tuple(known["betas"])}, divisor=divisor)


def new_model(config: Config, vocabulary: int, seed: int) -> Model:
    """A randomly initialised model of the config's `model` section."""
    torch.manual_seed(seed)
    section = config["model"]
    wanted = settings(section, vocabulary, config["corpus"]["seq_len"])
    model = model_of(config_class(kind_of(section))(**wanted))
    if section.get("init") == "neox":
        initialise(model, seed)
    return model


def train_run(
    run: Run,
    start: Path | Model,
    recipe: Recipe,
    batch: Batches,
    config: Config,
    ranks: Ranks | None = None,
) -> None:
    """Train from `start` to the end of the schedule, resuming where a killed run was.

    Args:
        start: a checkpoint with optimizer state, or a new model for a run from step 0.
        batch: step to (rows, weights), see `trainer.Batches`.
        ranks: the processes that share the run; this one alone if None.

    A resumed run ends with the same bytes as an undisturbed one (on the CPU, with as
    many ranks). Besides the schedule, the state is saved every ten minutes and when
    `ranks.wish` asks for it.

    Raises:
        HeadwaterError: the training diverged, or a checkpoint cannot be read.
        Stopped: asked for by `ranks.wish`.
    """
    ranks = ranks or Ranks()
    model, optimizer, scaler, step = _state(run, start, recipe, config)
    ranks.check_same(step)
    progress = Progress(run.label, run.end, "steps", done=step)
    saver = _Saver(run, model, optimizer, scaler, ranks)
    if step == run.schedule[0]:
        saver.keep(step, None)

    def after(finished: int, loss: float) -> bool:
        if not math.isfinite(loss):
            raise HeadwaterError(
                f"{run.label}: the loss is not finite at step {finished}; lower "
                "training.learning_rate"
            )
        if run.stop:
            run.stop.look(finished, model, ranks)
        saver.save(finished, loss)
        if ranks.rank == 0:
            progress.update(note=f"loss {loss:.3f}")
        ended = finished >= run.end
        if ranks.agreed >= STOP and not ended:
            raise Stopped
        return ended

    train(model, optimizer, recipe, batch, range(step, run.end), after, scaler, ranks)


def _state(
    run: Run, start: Path | Model, recipe: Recipe, config: Config
) -> tuple[Model, torch.optim.AdamW, torch.amp.GradScaler, int]:
    resumable = _latest(run, config)
    if resumable is not None:
        start = resumable
    model = load_model(start, config) if isinstance(start, Path) else start
    model = model.to(run.device)
    optimizer, scaler = make_optimizer(model, recipe), make_scaler(recipe, model.device)
    if not isinstance(start, Path):
        return model, optimizer, scaler, 0
    load_optimizer(start, model, optimizer, scaler)
    state = load_state(start, config)
    step = state.step
    if run.stop:
        run.stop.found = state.found
    if resumable is not None:
        logger.info("%s: resuming from %s (step %d)", run.label, start.name, step)
    return model, optimizer, scaler, step


def _latest(run: Run, config: Config) -> Path | None:
    """The furthest state of this run that can be resumed from."""
    kept = [step_name(step) for step in run.schedule] if run.keep_optimizer else []
    saved = [run.folder / n for n in (*kept, RESUME) if can_resume(run.folder / n)]
    return max(saved, key=lambda path: load_state(path, config).step, default=None)


@dataclass
class _Saver:
    """Saves a run's state where and when it is due; on rank 0 only."""

    run: Run
    model: Model
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    ranks: Ranks
    last: float = field(default_factory=time.monotonic)

    def save(self, finished: int, loss: float) -> None:
        """Save what is due at the end of a step."""
        late = time.monotonic() - self.last >= SAVE_SECONDS
        if finished in self.run.schedule:
            self.keep(finished, loss)
        elif late or self.ranks.agreed >= SAVE:
            self._write(RESUME, finished, loss)
        if self.ranks.wish == self.ranks.agreed == SAVE:
            self.ranks.wish = GO_ON

    def keep(self, finished: int, loss: float | None) -> None:
        """Keep a checkpoint of the schedule, and the state to resume from."""
        keep = self.run.keep_optimizer
        self._write(step_name(finished), finished, loss, moments=keep)
        if not keep:
            self._write(RESUME, finished, loss)
        elif self.ranks.rank == 0:  # an older state is of no use any more
            shutil.rmtree(self.run.folder / RESUME, ignore_errors=True)

    def _write(
        self, name: str, finished: int, loss: float | None, moments: bool = True
    ) -> None:
        if self.ranks.rank == 0:
            found = self.run.stop.found if self.run.stop else None
            state = TrainerState(finished, loss, self.run.identity, found)
            optimizer = self.optimizer if moments else None
            folder = self.run.folder / name
            save_checkpoint(folder, self.model, optimizer, state, self.scaler)
        self.last = time.monotonic()
