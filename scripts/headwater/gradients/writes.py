"""What a row's gradient writes: the tokens that it makes a unit say more, and less.

A step down the row's loss changes the map by which the unit writes by `-G`, with `G =
sum_t z_t^T dY_t`. So at a token with the unit's values `z` it writes `-z G` more. The
mean of this over the row's own tokens is a direction in the residual stream, which the
unembedding reads as logits (as Katz et al. 2024, arXiv 2402.12865, read gradients).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.models.outputs import outputs_of
from headwater.models.sites import Model, read_out
from headwater.units import Site, Unit

TOKENS = 5  # of either sort


@dataclass(frozen=True)
class Writer:
    """What a unit writes, read from the traces of a pass.

    Attributes:
        places: of each site that must be traced, which of its inner values are the
            unit's.
        unembedding: of the ids that may be read.
    """

    model: Model
    places: dict[Site, Int[Tensor, " _places"]]
    unembedding: Float[Tensor, "vocabulary hidden"]

    @staticmethod
    def of(model: Model, unit: Unit, options: PassOptions) -> "Writer":
        """Of a unit; the options must say the `vocabulary`, as `written_tokens` has it.

        Args:
            unit: what it writes does not depend on `gradients.mode`.
        """
        weight = model.get_output_embeddings().weight.detach()
        return Writer(model, outputs_of(model, unit), weight[: options.vocabulary])

    def logits(self, batch: Batch) -> Float[Tensor, "batch vocabulary"]:
        """How a step down each row's loss moves what the unit says.

        In logits a step of size 1, less their mean; a norm's scale is left out.
        """
        added = torch.zeros(())
        for site, own in self.places.items():
            trace = batch.traces[site]
            z = trace.inner.index_select(2, own.to(trace.inner.device))
            weights = z @ z.mean(dim=1)[:, :, None]
            change = -(weights * trace.output_grad).sum(dim=1)
            added = added.to(change) + read_out(self.model, site, change)
        logits = (added @ self.unembedding.mT).float()
        return logits - logits.mean(dim=1, keepdim=True)

    def tokens(
        self, batch: Batch, count: int = TOKENS
    ) -> Int[Tensor, "batch 2 {count}"]:
        """Ids of the tokens that each row pushes in most, and those it pushes out."""
        logits = self.logits(batch)
        most = [side.topk(count).indices for side in (logits, -logits)]
        return torch.stack(most, dim=1)


def written_tokens(
    model: Model,
    rows: RowSequence,
    unit: Unit,
    options: PassOptions,
    count: int = TOKENS,
) -> Int[Tensor, "rows 2 {count}"]:
    """Ids of the tokens that each row pushes in most, and those that it pushes out.

    Args:
        options: with the `vocabulary`, as an embedding may have more rows than that.
        count: of either sort; the strongest come first.
    """
    writer = Writer.of(model, unit, options)
    batches = run_pass(model, rows, sorted(writer.places), options)
    return torch.cat([writer.tokens(batch, count) for batch in batches]).cpu()


def written_logits(
    model: Model, rows: RowSequence, unit: Unit, options: PassOptions
) -> Iterator[Float[Tensor, "batch vocabulary"]]:
    """`Writer.logits` of all rows, a batch at a time."""
    writer = Writer.of(model, unit, options)
    for batch in run_pass(model, rows, sorted(writer.places), options):
        yield writer.logits(batch)
