"""Losses and in-context learning on held-out rows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from headwater.corpus.domains import NATURAL, RECORDS
from headwater.cross_entropy import token_losses
from headwater.neox import Model, final_hidden


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows.

    Attributes:
        tokens: ids.
        domains: name of each row's domain.
    """

    tokens: Int[Tensor, "rows tokens"]
    domains: Shaped[np.ndarray, " rows"]

    def groups(self) -> dict[str, Bool[np.ndarray, " rows"]]:
        """Row masks: one a domain, and `natural`, all rows that were not generated."""
        masks = {str(name): self.domains == name for name in np.unique(self.domains)}
        return {NATURAL: self.domains != RECORDS, **masks}


@torch.no_grad()
def held_out_losses(
    model: Model, tokens: Int[Tensor, "rows tokens"], batch_size: int = 64
) -> Float64[np.ndarray, "rows length"]:
    """Cross entropy of every token of held-out rows, nats."""
    unembedding = model.get_output_embeddings().weight
    parts = []
    for rows in tokens.split(batch_size):
        batch = rows.to(model.device)
        hidden = final_hidden(model, batch[:, :-1])
        losses = token_losses(hidden, unembedding, batch[:, 1:])
        parts.append(losses.double().cpu().numpy())
    return np.concatenate(parts)


def icl_score(losses: Float[np.ndarray, "rows length"], early: int, late: int) -> float:
    """Mean loss of the last `late` tokens minus that of the first `early` (nats).

    More negative = more is learned from the context (Olsson et al. 2022, with ranges
    of positions in place of two single ones).
    """
    return float(losses[:, -late:].mean() - losses[:, :early].mean())
