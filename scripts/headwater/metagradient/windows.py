"""The window of an experiment, ready to be gone through, as it was or otherwise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from headwater import job
from headwater.checkpoints.files import can_resume, load_model
from headwater.corpus.window import WindowRows
from headwater.identity import Config
from headwater.metagradient.metric import Metric
from headwater.metagradient.replay import Replay
from headwater.metagradient.stage import Window
from headwater.metagradient.storage import GB, plan_space
from headwater.training.batches import baseline_batches
from headwater.training.recipe import make_optimizer
from headwater.training.run import recipe_of
from headwater.training.trainer import Batches


@dataclass(frozen=True)
class Windows:
    """Trainings of one window.

    Attributes:
        start: the checkpoint at the window's start.
        rows: of the window.
        metrics: F of every target.
    """

    start: Path
    rows: WindowRows
    metrics: Sequence[Metric]
    config: Config

    @property
    def steps(self) -> range:
        """Of the training, in the window."""
        first, size = self.rows.start, self.rows.batch_size
        return range(first, first + len(self.rows) // size)

    def baseline(
        self, checkpoints: Iterable[str], measured: Sequence[int], anew: bool = False
    ) -> Window:
        """The baseline's own, with its checkpoints to begin at.

        Args:
            measured: see `Window`; `anew` likewise.
        """
        batches = baseline_batches(self.rows.rows, self.rows.batch_size)
        known = _on_disk(self.start, checkpoints, self.steps)
        return self._window(batches, known, measured, anew)

    def other(self, batches: Batches, measured: Sequence[int]) -> Window:
        """One of other rows or weights, of which the start alone is on disk."""
        return self._window(batches, {self.steps.start: self.start}, measured, False)

    def _window(
        self,
        batches: Batches,
        known: dict[int, Path],
        measured: Sequence[int],
        anew: bool,
    ) -> Window:
        recipe = recipe_of(self.config, self.config["retraining"]["divisor"])
        model = load_model(self.start, self.config).to(job.device())
        replay = Replay(model, make_optimizer(model, recipe), recipe, batches)
        states = {
            step: partial(replay.load, path, self.config)
            for step, path in known.items()
        }
        space = self.config["metagradient"]["space_gb"] * GB
        plan = plan_space(self.steps, known, replay.size, len(self.metrics), space)
        size = self.rows.batch_size
        return Window(replay, states, self.metrics, measured, size, plan, anew)


def _on_disk(start: Path, checkpoints: Iterable[str], steps: range) -> dict[int, Path]:
    """By step, the checkpoints of the window from which training can go on."""
    found = {}
    for path in map(Path, checkpoints):
        step = int(path.name.removeprefix("step"))
        if step in steps and can_resume(path):
            found[step] = path
    return {**found, steps.start: start}
