"""All metrics of one checkpoint, as lines of a long table."""

import pandas as pd
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.heads.scores import head_scores

COLUMNS = ["step", "metric", "name", "value"]
Line = tuple[int, str, str, float]


def checkpoint_metrics(
    step: int,
    model: GPTNeoXForCausalLM,
    sequences: Tensor,
    held_out: HeldOut,
    early: int,
    late: int,
) -> list[Line]:
    """Head scores, losses and ICL scores of one checkpoint.

    Returns:
        Lines (step, metric, name, value): a head score's name is the head; `loss` and
        `icl` are named by domain, and `natural` for all rows not generated.
    """
    losses = held_out_losses(model, held_out.tokens)
    lines: list[Line] = []
    for name, mask in held_out.groups().items():
        if mask.any():
            lines.append((step, "loss", name, float(losses[mask].mean())))
            lines.append((step, "icl", name, icl_score(losses[mask], early, late)))
    for metric, scores in head_scores(model, sequences).items():
        lines += [(step, metric, str(head), value) for head, value in scores.items()]
    return lines


def metrics_table(lines: list[Line]) -> pd.DataFrame:
    """Lines as a table."""
    return pd.DataFrame(lines, columns=COLUMNS)
