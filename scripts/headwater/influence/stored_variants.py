"""Scores of all rows by other choices, from the gradient stores: no pass over the rows.

`interventions/scores` says what each of them is. Every one is a product of the stored
gradients with another vector, so all of them come from one read of the stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import zarr
from jaxtyping import Float32, Float64

from headwater.curvature.ekfac import Factors
from headwater.gradients.blocks import Matrices
from headwater.influence.inverse import solve
from headwater.influence.scores import score_store, standard_basis
from headwater.projection.coordinates import eigen_gradient
from headwater.projection.store import UnitRows
from headwater.units import Unit

DAMPINGS = {  # of the config's
    "damping_hundredth": 0.01,
    "damping_tenth": 0.1,
    "damping_tenfold": 10.0,
}
Vector = Float64[np.ndarray, " parameters"]
Vectors = Mapping[str, Mapping[Unit, Vector]]  # of units whose scores are summed


@dataclass(frozen=True)
class Point:
    """What is known at one checkpoint of the window.

    Attributes:
        factors: those of the config, of all units.
        diagonal: the Fisher's diagonal, of the target's unit.
        gradients: of the target's probe, by unit, the target's own first.
        steps: by which Adam would divide a gradient, of the target's unit; None where
            the checkpoint has no optimizer state.
    """

    factors: Factors
    diagonal: Factors
    gradients: Mapping[Unit, Matrices]
    damping: float
    steps: Matrices | None = None

    def products(self) -> Vectors:
        """Inverse-Hessian-vector products of every variant, in the stores' basis."""
        unit, *others = self.gradients
        own = self._solved(unit)
        found: dict[str, Mapping[Unit, Vector]] = {
            "mda": {unit: own},
            **{
                name: {unit: self._solved(unit, factor)}
                for name, factor in DAMPINGS.items()
            },
            "diagonal": {unit: self._diagonal(unit)},
        }
        if self.steps is not None:
            found["adam"] = {unit: self._stepped(unit, self.steps)}
        if len(unit.blocks) > 1:
            found |= {
                name: {unit: self._part(own, unit, name)}
                for name in dict.fromkeys(block.name for block in unit.blocks)
            }
        if others:
            found["circuit"] = {one: self._solved(one) for one in self.gradients}
        return found

    def _solved(self, unit: Unit, factor: float = 1.0) -> Vector:
        alpha = factor * self.damping
        return solve(self.factors, unit.blocks, self.gradients[unit], alpha)

    def _diagonal(self, unit: Unit) -> Vector:
        own = solve(self.diagonal, unit.blocks, self.gradients[unit], self.damping)
        turned = standard_basis(self.diagonal, unit, own)
        return eigen_gradient(self.factors, unit.blocks, turned)

    def _stepped(self, unit: Unit, steps: Matrices) -> Vector:
        own = self.gradients[unit]
        divided = {name: own[name] / steps[name] for name in own}
        return eigen_gradient(self.factors, unit.blocks, divided)

    def _part(self, vector: Vector, unit: Unit, name: str) -> Vector:
        kept = [
            np.full(int(np.prod(block.shape)), block.name == name)
            for block in unit.blocks
        ]
        return vector * np.concatenate(kept)


def stored_scores(
    store: zarr.Group, vectors: Vectors
) -> Float32[np.ndarray, "rows variants"]:
    """Scores of a store's rows by every variant, one streaming read a unit."""
    units = {unit for own in vectors.values() for unit in own}
    columns: dict[tuple[str, Unit], np.ndarray] = {}
    for unit in units:
        names = [name for name, own in vectors.items() if unit in own]
        queries = [vectors[name][unit] for name in names]
        found = score_store(UnitRows(store, str(unit)), queries)
        columns |= {(name, unit): found[:, i] for i, name in enumerate(names)}
    summed = [
        np.sum([columns[name, unit] for unit in own], axis=0)
        for name, own in vectors.items()
    ]
    return np.stack(summed, axis=1)
