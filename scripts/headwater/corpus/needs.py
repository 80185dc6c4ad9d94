"""Which rows of a source of token ids are needed. Read while rules are parsed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.steps import training_rows

HELD_OUT_ROWS = 1024


@dataclass(frozen=True)
class RowNeeds:
    """Which rows of a source an experiment uses.

    Attributes:
        width: tokens of a row, seq_len + 1.
        training: rows of the training run.
        after: rows held out after them, 0 if text is held out instead.
        vocabulary: token ids of the tokenizer, 0 while it is not known.
    """

    width: int
    training: int
    after: int
    batch_size: int
    vocabulary: int = 0

    @property
    def all(self) -> range:
        """All rows needed, from the first."""
        return range(self.training + self.after)


def needs_of(config: Mapping[str, Any], vocabulary: int = 0) -> RowNeeds:
    """The rows that a config with a source of token ids needs."""
    held_out = config["corpus"]["held_out"]
    return RowNeeds(
        width=config["corpus"]["seq_len"] + 1,
        training=training_rows(config),
        after=0 if "shards" in held_out else held_out.get("rows", HELD_OUT_ROWS),
        batch_size=config["training"]["batch_size"],
        vocabulary=vocabulary,
    )
