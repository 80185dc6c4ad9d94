"""What a plan is made of: a config, its sources, and the window where it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.checkpoints.revisions import source_names
from headwater.checkpoints.schedule import arm_schedule, point_names, saved_steps
from headwater.corpus.sources import needs_of, rows, texts
from headwater.interventions.runs import arm_runs
from headwater.plan.ranges import Range
from headwater.plan.shape import Config
from headwater.steps import training_rows

SHORTEST_WINDOW = 0.1  # of the training, where it is still to be found
EARLIEST_END = 0.25  # of `training.steps`, where a found head ends the run
PILE_DOMAINS = 22


@dataclass(frozen=True)
class Sources:
    """What the rules know of the corpus's and the model's sources.

    Attributes:
        text: sources of text in all.
        fetched: those of them that are fetched.
        is_rows: whether the corpus comes as rows of token ids.
        fetches_rows: whether these are fetched.
        revisions: published checkpoints that are fetched.
    """

    text: int
    fetched: int
    is_rows: bool
    fetches_rows: bool
    revisions: int


NO_SOURCES = Sources(0, 0, False, False, 0)


def sources_of(config: Mapping[str, Any], base: Path) -> Sources:
    """The sources of a config that has been checked, with its paths below `base`."""
    text = texts(config["corpus"], base).values()
    tokens = rows(config["corpus"], base)
    return Sources(
        text=len(text),
        fetched=sum(piece.origin is not None for piece in text),
        is_rows=tokens is not None,
        fetches_rows=tokens is not None and tokens.origin is not None,
        revisions=len(source_names(config["checkpoints"])),
    )


@dataclass(frozen=True)
class Experiment:
    """A config that has been checked, and what is known besides.

    Attributes:
        window: its first and last step, where it has been found.
    """

    config: Config
    sources: Sources
    window: tuple[int, int] | None = None

    @property
    def rows(self) -> int:
        """Rows of the training."""
        return training_rows(self.config)

    @property
    def width(self) -> int:
        """Tokens of a row."""
        return int(self.config["corpus"]["seq_len"]) + 1

    @property
    def held_out(self) -> Range:
        """Held-out rows that are used, at most so many of each domain."""
        each = self.config["corpus"]["held_out"]["rows_per_domain"]
        each = min(each, self.config["evaluation"].get("rows_per_domain", each))
        if self.sources.is_rows and (count := needs_of(self.config).after):
            return Range(min(each, count), min(PILE_DOMAINS * each, count))
        return Range(each, PILE_DOMAINS * each)

    @property
    def steps(self) -> Range:
        """Steps of the window."""
        window, steps = self.config["window"], self.config["training"]["steps"]
        start, end = self.window or (window["start"], window["end"])
        if "auto" not in (start, end):
            return Range.exactly(end - start)
        most = (steps if end == "auto" else end) - (0 if start == "auto" else start)
        return Range(SHORTEST_WINDOW * most, most)

    @property
    def window_rows(self) -> Range:
        """Rows of the window."""
        return self.steps * self.config["training"]["batch_size"]

    @property
    def row_shards(self) -> int:
        """Parts of the training's rows."""
        return int(self.config["corpus"]["row_shards"])

    @property
    def shards(self) -> int:
        """Parts of the window's rows."""
        return int(self.config["gradients"]["shards"])

    @property
    def part(self) -> Range:
        """Rows of the window in one job that passes them through the model."""
        return self.window_rows * (1 / self.shards)

    @property
    def points(self) -> int:
        """Checkpoints at which influence is measured."""
        return len(point_names(self.config["window"]))

    @property
    def targets(self) -> int:
        """How many targets there are."""
        return len(self.config["targets"])

    @property
    def trained(self) -> Range:
        """Share of the baseline's steps that are trained: it may end sooner."""
        return Range(EARLIEST_END if "stop" in self.config["training"] else 1.0, 1.0)

    @property
    def saved(self) -> Range:
        """Checkpoints of the baseline, or how many revisions take its place."""
        return self.trained * len(saved_steps(self.config))

    @property
    def arm_saved(self) -> Range:
        """Checkpoints of an arm."""
        every, steps = self.config["retraining"]["checkpoint_every"], self.steps
        counts = (len(arm_schedule(0, int(n), every)) for n in (steps.low, steps.high))
        return Range(*counts)

    @property
    def draws(self) -> float:
        """Runs of an arm, in the mean; 1 without arms."""
        arms = self.config["arms"]
        return len(arm_runs(self.config)) / len(arms) if arms else 1.0
