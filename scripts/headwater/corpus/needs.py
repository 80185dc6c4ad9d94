"""Which rows of a source of token ids are needed. Read while rules are parsed."""

from dataclasses import dataclass


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
