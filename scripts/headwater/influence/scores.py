"""A signed score for every row: from the gradient store, or streamed exactly."""

from itertools import repeat

import numpy as np
import torch
import zarr
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.curvature.ekfac import Factors
from headwater.geometry import Geometry
from headwater.gradients.blocks import Block, blocks_of, direct_scores
from headwater.gradients.passes import RowSource, sides_of_rows
from headwater.gradients.store import read_head
from headwater.influence.files import Product
from headwater.neox import geometry
from headwater.progress import Progress
from headwater.stores import array


def stored_scores(
    values: np.ndarray,
    norms: np.ndarray,
    scale: np.ndarray,
    product: np.ndarray,
) -> np.ndarray:
    """Scores of stored rows against one inverse-Hessian-vector product.

    Args:
        values: unit-norm whitened coordinates, float16 [rows, k].
        norms: norm of each row, float32 [rows].
        scale: whitening scale, [k].
        product: `(H + damping)^-1 grad f` at the kept coordinates, [k].

    Returns:
        float32 [rows]; positive = the row helps the head.
    """
    query = (product * scale).astype(np.float32)
    return -(values.astype(np.float32) @ query) * norms


def standard_basis(
    factors: Factors, blocks: list[Block], product: np.ndarray, sizes: Geometry
) -> dict[str, Tensor]:
    """A flat eigenbasis vector back in the parameters' own basis, by block."""
    result, start = {}, 0
    for block in blocks:
        rows, columns = block.shape(sizes)
        piece = torch.from_numpy(product[start : start + rows * columns])
        left, right = factors.bases[block.left], factors.bases[block.right]
        result[str(block)] = left @ piece.view(rows, columns) @ right.mT
        start += rows * columns
    return result


def exact_scores(
    sides: dict[str, Tensor], blocks: list[Block], vectors: dict[str, Tensor]
) -> Tensor:
    """Scores of one batch without any projection: [batch].

    Args:
        sides: from `blocks.block_sides`.
        blocks: the blocks of the target's head.
        vectors: from `standard_basis`.
    """
    parts = [direct_scores(sides, b, vectors[str(b)].to(sides[b.left])) for b in blocks]
    return -torch.stack(parts).sum(dim=0)


def score_store(store: zarr.Group, product: Product) -> np.ndarray:
    """Scores of every row of a gradient store against one product: float32 [rows].

    One streaming read of the head's values; no pass through the model.
    """
    position = list(store.attrs["heads"]).index(str(product.head))  # type: ignore[arg-type]
    index = np.asarray(array(store, "index")[position])
    scale = np.asarray(array(store, "scale")[position])
    kept = product.vector[index]
    return np.concatenate(
        [
            stored_scores(values, norms, scale, kept)
            for _, values, norms in read_head(store, str(product.head))
        ]
    )


def stream_scores(
    model: GPTNeoXForCausalLM,
    rows: RowSource,
    factors: Factors,
    products: list[Product],
    mode: str,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact scores of rows against every product, in one pass.

    Args:
        model: at the checkpoint of the factors, on its device.
        rows: the rows.
        factors: EK-FAC factors.
        products: one a target.
        mode: `qk` or `qkvo`.
        batch_size: rows a pass; the scores do not depend on it.

    Returns:
        (scores float32 [rows, targets], summed loss of each row float32 [rows]).
    """
    own = [blocks_of([product.head], mode) for product in products]
    vectors = [
        standard_basis(factors, blocks, product.vector, geometry(model))
        for blocks, product in zip(own, products, strict=True)
    ]
    every = list(dict.fromkeys(block for blocks in own for block in blocks))
    progress = Progress("exact scores", len(rows), "rows")
    parts, losses = [], []
    for part, sides, loss in sides_of_rows(model, rows, every, batch_size):
        columns = map(exact_scores, repeat(sides), own, vectors)
        parts.append(torch.stack(list(columns), dim=1).cpu().numpy())
        losses.append(loss.cpu().numpy())
        progress.update(part.stop - part.start)
    scores = np.concatenate(parts).astype(np.float32)
    return scores, np.concatenate(losses).astype(np.float32)
