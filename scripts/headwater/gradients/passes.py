"""Forward and backward passes over rows, for whoever needs their traces."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from headwater.cross_entropy import sampled_losses, token_losses
from headwater.errors import HeadwaterError
from headwater.gradients.capture import Traces, captured, detached_heads
from headwater.models.sites import Model, final_hidden
from headwater.seeds import stable_seed
from headwater.units import Site


@runtime_checkable
class RowSequence(Protocol):
    """Rows of token ids by slice; a tensor is one, a view of a store another.

    Rows have one token more than the model sees: the last is only predicted.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> Int[Tensor, "rows tokens"]: ...


@dataclass(frozen=True)
class Batch:
    """What one forward and backward pass leaves behind.

    Attributes:
        rows: which rows of the source.
        traces: by site; valid until the next batch.
        losses: of each row, summed over its tokens, nats.
    """

    rows: slice
    traces: Traces
    losses: Float[Tensor, " batch"]


@dataclass(frozen=True)
class PassOptions:
    """How rows are passed through the model.

    Attributes:
        batch_size: rows a pass.
        seed: None for the rows' own next tokens; else labels are sampled from the model
            with this seed (the true Fisher).
        vocabulary: ids that may be sampled; padding rows of the embedding lie above.
        only_head: gradients flow through this head index of every layer only, as in the
            paper's released code (`capture.detached_heads`).
        numbers: of the rows, for messages; by default counted from 0.
    """

    batch_size: int
    seed: int | None = None
    vocabulary: int | None = None
    only_head: int | None = None
    numbers: Sequence[int] | np.ndarray | None = None

    def number(self, row: int) -> int:
        """The number under which messages speak of a row."""
        return row if self.numbers is None else int(self.numbers[row])


def run_pass(
    model: Model, rows: RowSequence, sites: list[Site], options: PassOptions
) -> Iterator[Batch]:
    """Stream rows through the model, a batch at a time.

    Args:
        model: on its device, in the precision wanted; its parameters are frozen.
        rows: read a batch at a time.
        sites: what to trace; nothing below the lowest is differentiated.

    Raises:
        HeadwaterError: rows longer than the model's positions, or a row whose loss is
            not finite; it is named.
    """
    with ExitStack() as stack:
        traces = stack.enter_context(captured(model, sites))
        if options.only_head is not None:
            stack.enter_context(detached_heads(model, options.only_head))
        for start in range(0, len(rows), options.batch_size):
            batch = rows[start : start + options.batch_size].to(model.device)
            _check_length(model, batch)
            losses = _run(model, batch, start, options)
            part = slice(start, start + len(batch))
            check_finite(losses[:, None], part, options, "loss")
            yield Batch(part, traces, losses)


def _run(
    model: Model, rows: Int[Tensor, "batch tokens"], first: int, options: PassOptions
) -> Float[Tensor, " batch"]:
    hidden = final_hidden(model, rows[:, :-1])
    unembedding = model.get_output_embeddings().weight
    if options.seed is None:
        losses = token_losses(hidden, unembedding, rows[:, 1:])
    else:
        draws = row_uniforms(options.seed, first, rows.shape[0], rows.shape[1] - 1)
        losses = sampled_losses(hidden, unembedding, draws, options.vocabulary)
    losses.sum().backward()
    wide = torch.promote_types(losses.dtype, torch.float32)
    return losses.detach().to(wide).sum(dim=1)


def _check_length(model: Model, rows: Tensor) -> None:
    most = model.config.max_position_embeddings
    if rows.shape[1] - 1 > most:
        raise HeadwaterError(
            f"corpus.seq_len: rows of {rows.shape[1] - 1} tokens, but the model has "
            f"{most} positions; use shorter rows"
        )


def check_finite(
    values: Float[Tensor, "batch _"], rows: slice, options: PassOptions, what: str
) -> None:
    """Refuse rows with a value that is not finite; `what` is the name of the values.

    Raises:
        HeadwaterError: names the first such row.
    """
    bad = (~values.isfinite()).any(dim=1).nonzero()
    if len(bad):
        number = options.number(rows.start + int(bad[0]))
        raise HeadwaterError(
            f"row {number}: its {what} is not finite; "
            "the checkpoint diverged, or the row overflows the precision"
        )


def row_uniforms(
    seed: int, first: int, count: int, length: int
) -> Float64[Tensor, "{count} {length}"]:
    """Uniform numbers in [0, 1) that depend on (seed, row) only."""
    draws = [
        np.random.Generator(np.random.Philox(stable_seed(seed, first + i))).random(
            length
        )
        for i in range(count)
    ]
    return torch.from_numpy(np.stack(draws))
