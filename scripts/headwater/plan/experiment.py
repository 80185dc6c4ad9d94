"""What a plan is made of: a config, its sources, and the window where it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.checkpoints.schedule import arm_schedule, saved_steps
from headwater.config import (
    dataset_sources,
    has_rows,
    list_sources,
    row_files,
    wanted_revisions,
)
from headwater.config.points import point_names
from headwater.net.places import is_remote
from headwater.plan.ranges import Range
from headwater.plan.shape import Config
from headwater.steps import training_rows

SHORTEST_WINDOW = 0.1  # of the training, where it is still to be found
PILE_DOMAINS = 22


@dataclass(frozen=True)
class Sources:
    """What the rules know of the corpus's and the model's sources.

    Attributes:
        local: files of text.
        remote: files of text behind addresses.
        streamed: parts of a data set.
        is_rows: whether the corpus comes as rows of token ids.
        local_rows: files of such rows.
        revisions: published checkpoints that are fetched.
    """

    local: tuple[str, ...]
    remote: int
    streamed: int
    is_rows: bool
    local_rows: tuple[str, ...]
    revisions: int

    @property
    def text(self) -> int:
        """Sources of text in all."""
        return len(self.local) + self.remote + self.streamed


NO_SOURCES = Sources((), 0, 0, False, (), 0)


def sources_of(config: Mapping[str, Any], base: Path) -> Sources:
    """The sources of a config that has been checked.

    Args:
        config: the whole config.
        base: the folder that relative paths in it start from.
    """
    corpus = config["corpus"]
    is_rows = has_rows(corpus)
    text = (corpus["held_out"] if is_rows else corpus).get("shards", [])
    files = list_sources(text, base)
    streams = not is_rows and "dataset" in corpus
    return Sources(
        local=tuple(file for file in files if not is_remote(file)),
        remote=sum(map(is_remote, files)),
        streamed=len(dataset_sources(corpus["dataset"])) if streams else 0,
        is_rows=is_rows,
        local_rows=tuple(row_files(corpus, base)),
        revisions=len(wanted_revisions(config["checkpoints"])),
    )


@dataclass(frozen=True)
class Experiment:
    """A config that has been checked, and what is known besides.

    Attributes:
        config: the whole config.
        sources: of its corpus and model.
        window: the first and last step of the window, where it has been found.
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
        held = self.config["corpus"]["held_out"]
        each = held["rows_per_domain"]
        if self.sources.is_rows and "shards" not in held:
            count = held.get("rows", 1024)
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
    def saved(self) -> int:
        """Checkpoints of the baseline, or how many revisions take its place."""
        return len(saved_steps(self.config))

    @property
    def arm_saved(self) -> Range:
        """Checkpoints of an arm."""
        every, steps = self.config["retraining"]["checkpoint_every"], self.steps
        low, high = (
            len(arm_schedule(0, int(n), every)) for n in (steps.low, steps.high)
        )
        return Range(low, high)
