"""Scores of all rows by other choices, from the gradient stores: no pass over the rows.

damping_<d>    another damping, from a hundredth of the config's to ten times it
diagonal       the Fisher's diagonal instead of EK-FAC, fitted on as many rows
qk             query and key alone, where value and output count too
circuit        the same probe's score for the head, plus that for the head with the
               highest previous-token score, where the stores have it

Without a Hessian a score is `gradient_dot`, a fact of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import zarr
from jaxtyping import Float32, Float64

from headwater.curvature.ekfac import Factors
from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import Block, Matrices, Mode, blocks_of
from headwater.influence.inverse import solve
from headwater.influence.scores import score_store, standard_basis
from headwater.projection.coordinates import eigen_gradient
from headwater.projection.store import HeadRows

DAMPINGS = (0.01, 0.1, 10.0)  # of the config's
Vector = Float64[np.ndarray, " parameters"]
Vectors = Mapping[str, Mapping[Head, Vector]]  # of heads whose scores are summed


@dataclass(frozen=True)
class Point:
    """What is known at one checkpoint of the window.

    Attributes:
        factors: those of the config, of all heads.
        diagonal: the Fisher's diagonal, of the target's head.
        gradients: of the target's probe, by head, the target's own first.
    """

    factors: Factors
    diagonal: Factors
    gradients: Mapping[Head, Matrices]
    sizes: Geometry
    mode: Mode
    damping: float

    def products(self) -> Vectors:
        """Inverse-Hessian-vector products of every variant, in the stores' basis."""
        head, *others = self.gradients
        blocks = blocks_of([head], self.mode)
        found = {
            f"damping_{factor * self.damping:g}": {head: self._solved(head, factor)}
            for factor in DAMPINGS
        }
        found["diagonal"] = {head: self._diagonal(head, blocks)}
        if len(blocks) > 1:
            found["qk"] = {head: self._part(self._solved(head), blocks, "qk")}
        if others:
            found["circuit"] = {one: self._solved(one) for one in self.gradients}
        return found

    def _solved(self, head: Head, factor: float = 1.0) -> Vector:
        blocks, alpha = blocks_of([head], self.mode), factor * self.damping
        return solve(self.factors, blocks, self.gradients[head], alpha)

    def _diagonal(self, head: Head, blocks: list[Block]) -> Vector:
        own = solve(self.diagonal, blocks, self.gradients[head], self.damping)
        turned = standard_basis(self.diagonal, blocks, own, self.sizes)
        by_name = {block.name: turned[str(block)] for block in blocks}
        return eigen_gradient(self.factors, blocks, by_name)

    def _part(self, vector: Vector, blocks: list[Block], name: str) -> Vector:
        kept = [
            np.full(int(np.prod(block.shape(self.sizes))), block.name == name)
            for block in blocks
        ]
        return vector * np.concatenate(kept)


def stored_scores(
    store: zarr.Group, vectors: Vectors
) -> Float32[np.ndarray, "rows variants"]:
    """Scores of a store's rows by every variant, one streaming read a head."""
    heads = {head for own in vectors.values() for head in own}
    columns: dict[tuple[str, Head], np.ndarray] = {}
    for head in heads:
        names = [name for name, own in vectors.items() if head in own]
        queries = [vectors[name][head] for name in names]
        found = score_store(HeadRows(store, head), queries)
        columns |= {(name, head): found[:, i] for i, name in enumerate(names)}
    summed = [
        np.sum([columns[name, head] for head in own], axis=0)
        for name, own in vectors.items()
    ]
    return np.stack(summed, axis=1)
