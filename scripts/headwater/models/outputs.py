"""What units of a loaded model make: values inside, and what they write."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.models.sites import Model, geometry, read_out, writer
from headwater.units import Block, Site, outputs


def outputs_of(model: Model, unit: object) -> dict[Site, Tensor]:
    """Which inputs of the maps that write are a unit's, by number, for each site.

    Args:
        unit: a unit or a head; what it writes does not depend on `gradients.mode`.
    """
    found: dict[Site, list[int]] = {}
    for block in outputs(str(unit), geometry(model)):
        found.setdefault(_site(block), []).extend(block.places)
    return {site: torch.tensor(places) for site, places in found.items()}


@contextmanager
def mean_ablated(model: Model, unit: object) -> Iterator[None]:
    """What the unit writes is replaced by its mean over the batch, at each position.

    (Mean ablation, Wang et al. 2022, arXiv 2211.00593.)
    """

    def replace(places: Tensor) -> Callable[..., tuple[Any, ...]]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
            inner = inputs[0].clone()
            inner[..., places] = inner[..., places].mean(dim=0)
            return (inner, *inputs[1:])

        return hook

    with _before(model, ((s, replace(p)) for s, p in outputs_of(model, unit).items())):
        yield


@contextmanager
def inner_values(
    model: Model, site: Site
) -> Iterator[list[Float[Tensor, "batch length width"]]]:
    """Collects the inputs of the map that writes: heads' outputs z, neurons' values."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0])

    with _before(model, [(site, keep)]):
        yield kept


@contextmanager
def written_by(
    model: Model, unit: object
) -> Iterator[list[Float[Tensor, "batch length hidden"]]]:
    """Collects what a unit alone writes, as the unembedding reads it (`read_out`).

    Without biases; one tensor a site. The map that writes is given the unit's part as
    so many more tokens, so that hooks on it see the gradient of its weight on both ways
    to the output: the direct one, and through the rest of the model.
    """
    kept: list[Tensor] = []
    handles = []
    for (layer, site), places in outputs_of(model, unit).items():
        module = writer(model, layer, site)
        keep = partial(_halved, kept, partial(read_out, model, (layer, site)))
        handles += [
            module.register_forward_pre_hook(partial(_doubled, places)),
            module.register_forward_hook(keep),
        ]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _doubled(
    places: Tensor, _: nn.Module, inputs: tuple[Tensor, ...]
) -> tuple[Any, ...]:
    inner = inputs[0]
    mask = torch.zeros_like(inner[0, 0])
    mask[places] = 1
    return (torch.cat([inner, inner * mask], dim=1), *inputs[1:])


def _halved(
    kept: list[Tensor],
    read: Callable[[Tensor], Tensor],
    module: nn.Module,
    _: object,
    output: Tensor,
) -> Tensor:
    whole, part = output.chunk(2, dim=1)
    bias = getattr(module, "bias", None)
    kept.append(read(part if bias is None else part - bias))
    return whole


@contextmanager
def _before(
    model: Model, hooks: Iterable[tuple[Site, Callable[..., Any]]]
) -> Iterator[None]:
    handles = [
        writer(model, layer, site).register_forward_pre_hook(hook)
        for (layer, site), hook in hooks
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _site(block: Block) -> Site:
    return block.layer, block.site
