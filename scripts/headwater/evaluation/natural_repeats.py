"""Held-out text in which a span is repeated: copying on text of no probe."""

from dataclasses import replace

import numpy as np
import torch

from headwater.evaluation.losses import HeldOut
from headwater.heads.sequences import Shape, layout
from headwater.probes.registry import Repeats


def natural_repeats(
    held: HeldOut, count: int, shape: Shape, seed: int
) -> Repeats | None:
    """Random stretches of natural documents, a span of each written once more.

    The copy stands over what came later in the same stretch, so that other text of the
    same document lies before and between. A row is used if `length` tokens of one
    document stand in it, and at most once.

    Args:
        count: sequences, or fewer where fewer rows can be used.
        shape: their length and periods, as of random sequences.

    Returns:
        None if no row can be used.
    """
    length = shape["length"]
    start, stop = held.documents.T
    room = stop + 1 - start - length
    usable = np.flatnonzero((room >= 0) & held.natural())
    if not len(usable):
        return None
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = np.sort(generator.permutation(usable)[:count])
    begins = start[rows] + generator.integers(0, room[rows] + 1)
    windows = begins[:, None] + np.arange(length)
    tokens = held.tokens.numpy()[rows[:, None], windows]
    places = torch.tensor([layout(shape, generator) for _ in rows])
    once = Repeats(torch.from_numpy(tokens).long(), *places.T)
    return replace(once, tokens=_copied(once))


def _copied(data: Repeats) -> torch.Tensor:
    """The tokens with the second copy written over what stands there."""
    tokens, length = data.tokens, data.tokens.shape[1]
    back = torch.arange(length) - data.second[:, None]
    inside = (back >= 0) & (back < data.period[:, None])
    source = torch.where(inside, data.first[:, None] + back, torch.arange(length))
    return tokens.gather(1, source)
