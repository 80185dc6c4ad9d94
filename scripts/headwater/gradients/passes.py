"""One forward and one backward pass that fill the traces of a `Capture`."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.gradients.blocks import Block, block_sides
from headwater.gradients.capture import Capture
from headwater.loss import sample_labels, token_losses
from headwater.neox import final_hidden, geometry
from headwater.publish import stable_seed


class RowSource(Protocol):
    """Rows by slice; a tensor is one, a view of a store another."""

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, rows: slice) -> Tensor:
        """Token ids [rows, length + 1]."""


def run_rows(
    model: GPTNeoXForCausalLM, rows: Tensor, seed: int | None, first: int
) -> Tensor:
    """Forward and backward of the summed loss of each row.

    Args:
        model: frozen, with an open `Capture`.
        rows: token ids [batch, length + 1].
        seed: None for the rows' own next tokens; else labels are sampled from the
            model with this seed (the true Fisher).
        first: number of the first row; sampling depends on the row, not the batch.

    Returns:
        The loss of each row, summed over its tokens, in nats [batch].
    """
    hidden = final_hidden(model, rows[:, :-1])
    unembedding = model.get_output_embeddings().weight
    labels = rows[:, 1:]
    if seed is not None:
        uniforms = row_uniforms(seed, first, rows.shape[0], rows.shape[1] - 1)
        labels = sample_labels(hidden, unembedding, uniforms.to(hidden.device))
    losses = token_losses(hidden, unembedding, labels).sum(dim=1)
    losses.sum().backward()
    return losses.detach()


def row_uniforms(seed: int, first: int, count: int, length: int) -> Tensor:
    """Uniform numbers in [0, 1) that depend on (seed, row) only: [count, length]."""
    draws = [
        np.random.Generator(np.random.Philox(stable_seed(seed, first + i))).random(
            length
        )
        for i in range(count)
    ]
    return torch.from_numpy(np.stack(draws))


def sides_of_rows(
    model: GPTNeoXForCausalLM,
    rows: RowSource,
    blocks: list[Block],
    batch_size: int,
    seed: int | None = None,
) -> Iterator[tuple[slice, dict[str, Tensor], Tensor]]:
    """Stream rows through the model; yield each batch's block sides.

    Args:
        model: on its device; every parameter is frozen by this call.
        rows: token ids [count, length + 1]; read a batch at a time.
        blocks: the blocks wanted; only their layers are hooked.
        batch_size: rows a pass; the results do not depend on it.
        seed: see `run_rows`.

    Yields:
        (which rows, sides as of `block_sides`, loss of each row).
    """
    sizes = geometry(model)
    device = model.device
    with Capture(model, [block.head.layer for block in blocks]) as capture:
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size].to(device)
            losses = run_rows(model, batch, seed, start)
            sides = block_sides(capture.traces, blocks, sizes)
            yield slice(start, start + len(batch)), sides, losses
