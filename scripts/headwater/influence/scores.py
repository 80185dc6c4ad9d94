"""A signed score for every row: from the gradient store, or streamed exactly."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from headwater.curvature.ekfac import Factors
from headwater.gradients.blocks import Matrices, block_sides, token_products
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import (
    Batch,
    PassOptions,
    RowSequence,
    check_finite,
    run_pass,
)
from headwater.gradients.writes import Writer
from headwater.influence.files import Product
from headwater.models.sites import Model
from headwater.progress import Progress
from headwater.projection.store import UnitRows
from headwater.units import Unit


def standard_basis(
    factors: Factors, unit: Unit, product: Float64[np.ndarray, " parameters"]
) -> Matrices:
    """A flat eigenbasis vector back in the parameters' own basis, by block."""
    result, start = {}, 0
    for block in unit.blocks:
        rows, columns = block.shape
        piece = torch.from_numpy(product[start : start + rows * columns])
        left, right = factors.bases[block.left], factors.bases[block.right]
        result[str(block)] = left @ piece.view(rows, columns) @ right.mT
        start += rows * columns
    return result


def score_store(
    rows: UnitRows, products: list[Float64[np.ndarray, " parameters"]]
) -> Float32[np.ndarray, "rows products"]:
    """Scores of every row of a gradient store: one streaming read, no model.

    Args:
        products: inverse-Hessian-vector products of the unit, flat in the eigenbasis.

    Returns:
        One column a product; positive = the row helps the unit.
    """
    queries = torch.stack([rows.projection.query(p) for p in products], dim=1)
    return -rows.products(queries)


@dataclass(frozen=True)
class Vectors:
    """Products of several targets in the parameters' own basis, for exact scores.

    Attributes:
        products: one a target, in the order of the scores' columns.
        flat: by unit, the vectors of its targets.
        columns: by unit, which columns of the scores those are.
    """

    products: list[Product]
    flat: dict[Unit, Float64[Tensor, "_parameters _targets"]]
    columns: dict[Unit, list[int]]

    @staticmethod
    def of(products: list[Product], factors: Factors) -> "Vectors":
        """Turn products back from the eigenbasis."""
        columns: dict[Unit, list[int]] = {}
        for column, product in enumerate(products):
            columns.setdefault(product.unit, []).append(column)
        flat = {}
        for unit, own in columns.items():
            vectors = [
                torch.cat([part.flatten() for part in turned.values()])
                for turned in (
                    standard_basis(factors, unit, products[column].vector)
                    for column in own
                )
            ]
            flat[unit] = torch.stack(vectors, dim=1)
        return Vectors(products, flat, columns)

    def scores(
        self, gradients: dict[Unit, Float[Tensor, "batch _parameters"]]
    ) -> Float[Tensor, "batch targets"]:
        """Scores of a batch, from flat gradients by unit."""
        some = next(iter(gradients.values()))
        scores = some.new_empty(len(some), len(self.products))
        for unit, columns in self.columns.items():
            gradient = gradients[unit]
            scores[:, columns] = -(gradient @ self.flat[unit].to(gradient))
        return scores


def stream_scores(
    model: Model,
    rows: RowSequence,
    factors: Factors,
    products: list[Product],
    options: PassOptions,
    progress: Progress | None = None,
) -> tuple[Float32[np.ndarray, "rows targets"], Float32[np.ndarray, " rows"]]:
    """Exact scores of rows against every product, in one pass.

    Args:
        model: at the checkpoint of the factors, on its device.
        products: any number of targets, of any units.
        progress: of these rows among others; by default of these alone.

    Returns:
        (scores, summed loss of each row in nats).

    Raises:
        HeadwaterError: a score is not finite; the row is named.
    """
    vectors = Vectors.of(products, factors)
    units = list(vectors.flat)
    progress = progress or Progress("exact scores", len(rows), "rows")
    scores = np.empty((len(rows), len(products)), np.float32)
    losses = np.empty(len(rows), np.float32)
    for batch, gradients in gradients_of(model, rows, units, options):
        found = vectors.scores(gradients)
        check_finite(found, batch.rows, options, "score")
        scores[batch.rows] = found.cpu().numpy()
        losses[batch.rows] = batch.losses.cpu().numpy()
        progress.update(batch.rows.stop - batch.rows.start)
    return scores, losses


def token_scores(
    model: Model,
    rows: RowSequence,
    factors: Factors,
    product: Product,
    options: PassOptions,
) -> Float32[np.ndarray, "rows length"]:
    """Each token's part of its row's exact score.

    A row's gradient is a sum over the positions at which the unit reads its input and
    writes its output, so its score is too. A position's part holds everything that
    flows through the unit there: not the loss *of* that token alone.
    """
    vectors = standard_basis(factors, product.unit, product.vector)
    batches = run_pass(model, rows, product.unit.sites, options)
    return np.concatenate([_token_parts(b, product.unit, vectors) for b in batches])


def token_facts(
    model: Model,
    rows: RowSequence,
    factors: Factors,
    product: Product,
    options: PassOptions,
) -> tuple[Float32[np.ndarray, "rows length"], Int64[np.ndarray, "rows 2 count"]]:
    """`token_scores`, and the tokens that rows write (`gradients.writes`): one pass."""
    unit = product.unit
    vectors = standard_basis(factors, unit, product.vector)
    writer = Writer.of(model, unit, options)
    sites = sorted({*unit.sites, *writer.places})
    progress = Progress("token scores", len(rows), "rows")
    parts, written = [], []
    for batch in run_pass(model, rows, sites, options):
        parts.append(_token_parts(batch, unit, vectors))
        written.append(writer.tokens(batch).cpu().numpy())
        progress.update(batch.rows.stop - batch.rows.start)
    return np.concatenate(parts), np.concatenate(written)


def _token_parts(
    batch: Batch, unit: Unit, vectors: Matrices
) -> Float32[np.ndarray, "batch length"]:
    blocks = list(unit.blocks)
    sides = block_sides(batch.traces, blocks)
    tokens = [
        token_products(sides, b, vectors[str(b)].to(sides[b.left])) for b in blocks
    ]
    found = -torch.stack(tokens).sum(dim=0)
    return np.asarray(found.float().cpu().numpy())
