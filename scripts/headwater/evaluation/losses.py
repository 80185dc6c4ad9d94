"""Losses and in-context learning on held-out rows."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from headwater.cross_entropy import token_losses
from headwater.models.sites import Model, final_hidden


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows.

    Attributes:
        tokens: ids.
        domains: name of each row's domain, str.
        end_of_document: id of the token after each document.
        planted: name of the generated domain, if there is one.
    """

    tokens: Int[Tensor, "rows tokens"]
    domains: Shaped[np.ndarray, " rows"]
    end_of_document: int
    planted: str | None = None

    def natural(self) -> Bool[np.ndarray, " rows"]:
        """Which rows were not generated."""
        return np.array([name != self.planted for name in self.domains], bool)

    def by_domain(self) -> dict[str, Bool[np.ndarray, " rows"]]:
        """Which rows each domain has; domains by name."""
        names = sorted(set(self.domains))
        return {name: np.array([d == name for d in self.domains]) for name in names}

    def spread(self, most: int | None) -> "HeldOut":
        """At most so many rows of each domain, spread over its own; None takes all."""
        if most is None:
            return self
        taken = []
        for mask in self.by_domain().values():
            own = np.flatnonzero(mask)
            places = np.arange(min(most, len(own))) * len(own) // min(most, len(own))
            taken.append(own[places])
        rows = np.sort(np.concatenate(taken))
        return replace(self, tokens=self.tokens[rows], domains=self.domains[rows])

    @cached_property
    def documents(self) -> Int[np.ndarray, "rows 2"]:
        """The longest stretch of one document in each row: its first loss, and the end.

        The loss of a document's first token is none of its own: it was predicted from
        the document before. Nor is that of the token after it.
        """
        tokens = self.tokens.numpy()
        rows, width = tokens.shape
        ends = np.ones((rows, width + 2), bool)  # the row's own ends, and documents'
        ends[:, 1:-1] = tokens == self.end_of_document
        return np.array([_longest(np.flatnonzero(row)) for row in ends]).reshape(-1, 2)

    @cached_property
    def copyable(self) -> Bool[np.ndarray, "rows length"]:
        """Which tokens are what followed the last earlier occurrence of the one before.

        Both occurrences lie in the same document. Of every token that has a loss.
        """
        tokens = self.tokens.numpy()
        ends = tokens == self.end_of_document
        columns = {
            "row": np.arange(len(tokens))[:, None] + 0 * tokens,
            "document": np.cumsum(ends, axis=1) - ends,  # an end is of what it ends
            "token": tokens,
        }
        keys = {name: values[:, :-1].ravel() for name, values in columns.items()}
        table = pd.DataFrame({**keys, "next": tokens[:, 1:].ravel()})
        earlier = table.groupby(list(keys))["next"].shift()
        return (earlier == table["next"]).to_numpy().reshape(len(tokens), -1)


def _longest(ends: Int[np.ndarray, " ends"]) -> tuple[int, int]:
    gap = int(np.diff(ends).argmax())
    first = int(ends[gap])  # of its tokens: that after the end before it, minus one
    return first, max(first, int(ends[gap + 1]) - 2)


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


def icl_score(
    losses: Float[np.ndarray, "rows length"],
    documents: Int[np.ndarray, "rows 2"],
    early: int,
    late: int,
) -> float | None:
    """Mean loss of a document's last `late` tokens minus that of its first `early`.

    In nats; more negative = more is learned from the context (Olsson et al. 2022, with
    ranges of positions in place of two single ones). A row counts if one document fills
    more than half of it, and holds `early` + `late` tokens: what lies before another
    document is no context of this one.

    Args:
        documents: see `HeldOut.documents`.

    Returns:
        None if no row counts.
    """
    length = documents[:, 1] - documents[:, 0]
    counts = (2 * length > losses.shape[1]) & (length >= early + late)
    if not counts.any():
        return None
    losses, documents = losses[counts], documents[counts]
    first, stop = documents[:, :1], documents[:, 1:]
    lates = np.take_along_axis(losses, stop - late + np.arange(late), axis=1)
    earlies = np.take_along_axis(losses, first + np.arange(early), axis=1)
    return float(lates.mean() - earlies.mean())
