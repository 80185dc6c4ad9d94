"""Looks for the window's head in a model that is still being trained."""

from collections.abc import Callable
from pathlib import Path

from headwater.heads.scores import head_scores
from headwater.identity import Config
from headwater.neox import Model
from headwater.probes import PROBES


def head_finder(
    held_out: Path, tokenizer: Path, config: Config
) -> Callable[[Model], str | None]:
    """A function that finds the head of the window's target by `targets.find_head`.

    It returns the head's label, or None, and leaves the model as it was.

    Args:
        held_out: the held-out store, which knows the corpus's token counts.
    """
    raise NotImplementedError
