"""Looks for the window's head in a model that is still being trained."""

from collections.abc import Callable
from pathlib import Path

from headwater.heads.scores import head_scores, scores_table
from headwater.heads.sequences import CHOOSING, draw_sequences
from headwater.heads.targets import find_head, heads_meant
from headwater.identity import Config
from headwater.models.sites import Model
from headwater.probes import PROBES


def head_finder(
    held_out: Path, tokenizer: Path, config: Config
) -> Callable[[Model], str | None]:
    """A function that finds the head of the window's target by `targets.find_head`.

    It returns the head's label, or None, and leaves the model as it was. The sequences
    are those on which the head is chosen after the training.

    Args:
        held_out: the held-out store, which knows the corpus's token counts.
    """
    count = config["heads"]["sequences"]
    data = draw_sequences(CHOOSING, count, held_out, tokenizer, config)
    target = config["targets"][config["window"]["target"]]
    score, some = PROBES[target["probe"]].tracks, heads_meant(target, config)

    def find(model: Model) -> str | None:
        before = model.config._attn_implementation
        table = scores_table(0, head_scores(model, data.to(model.device)))
        model.set_attn_implementation(before)
        best = find_head(table, score, some)
        return best.head if best.found else None

    return find
