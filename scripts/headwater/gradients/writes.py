"""What a row's gradient writes: the tokens that it makes a unit say more, and less.

A step down the row's loss changes the map by which the unit writes by `-G`, with `G =
sum_t z_t^T dY_t`. So at a token with the unit's values `z` it writes `-z G` more. The
mean of this over the row's own tokens is a direction in the residual stream, which the
unembedding reads as logits (as Katz et al. 2024, arXiv 2402.12865, read gradients).
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headwater.gradients.passes import PassOptions, RowSequence, run_pass
from headwater.models.outputs import outputs_of
from headwater.models.sites import Model, read_out
from headwater.units import Unit

TOKENS = 5  # of either sort


def written_tokens(
    model: Model,
    rows: RowSequence,
    unit: Unit,
    options: PassOptions,
    count: int = TOKENS,
) -> Int[Tensor, "rows 2 {count}"]:
    """Ids of the tokens that each row pushes in most, and those that it pushes out.

    Args:
        unit: what it writes does not depend on `gradients.mode`.
        options: with the `vocabulary`, as an embedding may have more rows than that.
        count: of either sort; the strongest come first.
    """
    found = [
        torch.stack([logits.topk(count).indices, (-logits).topk(count).indices], dim=1)
        for logits in written_logits(model, rows, unit, options)
    ]
    return torch.cat(found).cpu()


def written_logits(
    model: Model, rows: RowSequence, unit: Unit, options: PassOptions
) -> Iterator[Float[Tensor, "batch vocabulary"]]:
    """How a step down each row's loss moves what its unit says, a batch at a time.

    In logits a step of size 1, less their mean; a norm's scale is left out.
    """
    places = outputs_of(model, unit)
    unembedding = model.get_output_embeddings().weight.detach()[: options.vocabulary]
    for batch in run_pass(model, rows, sorted(places), options):
        added = torch.zeros(())
        for site, own in places.items():
            trace = batch.traces[site]
            z = trace.inner.index_select(2, own.to(trace.inner.device))
            weights = z @ z.mean(dim=1)[:, :, None]
            change = -(weights * trace.output_grad).sum(dim=1)
            added = added.to(change) + read_out(model, site, change)
        logits = (added @ unembedding.mT).float()
        yield logits - logits.mean(dim=1, keepdim=True)
