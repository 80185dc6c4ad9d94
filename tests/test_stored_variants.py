"""Other choices' scores from the gradient stores, against exact ones of each choice."""

import numpy as np
import pytest
import torch
import zarr

from headwater.curvature.ekfac import fit_factors
from headwater.geometry import Head
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.files import Product
from headwater.influence.inverse import solve
from headwater.influence.scores import stream_scores
from headwater.influence.stored_variants import DAMPINGS, Point, stored_scores
from headwater.interventions.scores import SCORES
from headwater.probes import PROBES
from headwater.projection.coordinates import Projection, all_coordinates
from headwater.projection.writer import GradientWriter, fill_store
from tiny import random_rows, repeats, tiny_model, unit

UNIT, BEFORE = unit(Head(1, 2)), unit(Head(0, 0))
FIT = PassOptions(16, 3)


def steps_like(one) -> dict[str, torch.Tensor]:
    """Adam's divisors of a unit's weights, each another number."""
    generator = torch.Generator().manual_seed(3)
    return {
        str(b): 0.5 + torch.rand(b.shape, generator=generator, dtype=torch.float64)
        for b in one.blocks
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> tuple[dict[str, np.ndarray], Point]:
    """Scores by every variant of rows in a store, and what they were made of."""
    model, rows, units = tiny_model(), random_rows(40), [UNIT, BEFORE]
    factors = fit_factors(model, rows, units, FIT)
    kept = {
        one: Projection(all_coordinates(factors, one.blocks), 8, 5) for one in units
    }
    path = tmp_path_factory.mktemp("store") / "0.zarr"
    writer = GradientWriter(path, {}, 0, len(rows), kept)
    fill_store(writer, model, rows, factors.bases, PassOptions(64))
    probe, data = PROBES["induction"], repeats(8)
    point = Point(
        factors=factors,
        diagonal=fit_factors(model, rows, [UNIT], FIT, "diagonal"),
        gradients={one: probe_gradient(model, probe, one, data)[0] for one in units},
        damping=0.1,
        steps=steps_like(UNIT),
    )
    vectors = point.products()
    scores = stored_scores(zarr.open_group(path, mode="r"), vectors)
    return dict(zip(vectors, scores.T, strict=True)), point


def exact(factors, one, gradient, damping) -> np.ndarray:
    vector = solve(factors, one.blocks, gradient, damping)
    rows, product = random_rows(40), Product("induction", one, vector)
    scores, _ = stream_scores(tiny_model(), rows, factors, [product], PassOptions(64))
    return scores[:, 0]


def assert_close(one: np.ndarray, other: np.ndarray) -> None:
    assert np.linalg.norm(one - other) < 0.03 * np.linalg.norm(other)


@pytest.mark.parametrize(
    ("name", "damping"),
    [
        ("damping_hundredth", 0.001),
        ("damping_tenth", 0.01),
        ("mda", 0.1),
        ("damping_tenfold", 1.0),
    ],
)
def test_dampings_are_those_of_their_names(found, name, damping) -> None:
    scores, point = found
    wanted = exact(point.factors, UNIT, point.gradients[UNIT], damping)
    assert_close(scores[name], wanted)


def test_every_score_that_is_stored_is_in_the_table_of_scores(found) -> None:
    assert {*found[0]} <= {*SCORES}


def test_the_diagonal_is_turned_into_the_stores_basis(found) -> None:
    scores, point = found
    wanted = exact(point.diagonal, UNIT, point.gradients[UNIT], 0.1)
    assert_close(scores["diagonal"], wanted)
    assert np.corrcoef(scores["diagonal"], scores["damping_tenth"])[0, 1] < 0.999


def test_the_parts_of_a_head_add_up_to_it(found) -> None:
    scores, _ = found
    parts = sum(scores[name] for name in ("qk", "v", "o"))
    assert_close(parts, scores["mda"])
    assert np.linalg.norm(scores["o"]) > 0.01 * np.linalg.norm(scores["mda"])


def test_adam_divides_by_its_own_steps(found) -> None:
    scores, point = found
    assert point.steps is not None
    vector = torch.cat(
        [
            (point.gradients[UNIT][name] / point.steps[name]).flatten()
            for name in map(str, UNIT.blocks)
        ]
    )
    parts = gradients_of(tiny_model(), random_rows(40), [UNIT], PassOptions(64))
    rows = torch.cat([flat[UNIT] for _, flat in parts]).double()
    assert_close(scores["adam"], -(rows @ vector).numpy())


def test_query_and_key_alone_are_what_that_mode_scores(found) -> None:
    scores, point = found
    part = unit(str(UNIT), "qk")
    wanted = exact(point.factors, part, point.gradients[UNIT], 0.1)
    assert_close(scores["qk"], wanted)


def test_a_circuit_is_the_sum_over_its_heads(found) -> None:
    scores, point = found
    parts = [
        exact(point.factors, one, point.gradients[one], 0.1) for one in (UNIT, BEFORE)
    ]
    assert_close(scores["circuit"], parts[0] + parts[1])


def test_what_makes_no_difference_is_left_out(found) -> None:
    point = found[1]
    name = f"{UNIT}/qk"
    only = {unit(str(UNIT), "qk"): {name: point.gradients[UNIT][name]}}
    alone = Point(point.factors, point.diagonal, only, 0.1)
    names = ["mda", *DAMPINGS, "diagonal"]
    assert [*alone.products()] == names
