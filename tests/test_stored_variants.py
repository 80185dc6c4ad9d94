"""Other choices' scores from the gradient stores, against exact ones of each choice."""

import numpy as np
import pytest
import zarr

from headwater.curvature.ekfac import fit_factors
from headwater.geometry import Head
from headwater.gradients.blocks import blocks_of
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.files import Product
from headwater.influence.inverse import solve
from headwater.influence.scores import stream_scores
from headwater.influence.stored_variants import Point, stored_scores
from headwater.models.sites import geometry
from headwater.probes import PROBES
from headwater.projection.coordinates import Projection, all_coordinates
from headwater.projection.writer import GradientWriter, fill_store
from tiny import random_rows, repeats, tiny_model

HEAD, BEFORE = Head(1, 2), Head(0, 0)
FIT = PassOptions(16, 3)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> tuple[dict[str, np.ndarray], Point]:
    """Scores by every variant of rows in a store, and what they were made of."""
    model, rows, heads = tiny_model(), random_rows(40), [HEAD, BEFORE]
    factors = fit_factors(model, rows, heads, "qkvo", FIT)
    kept = {
        head: Projection(all_coordinates(factors, blocks_of([head], "qkvo")), 8, 5)
        for head in heads
    }
    path = tmp_path_factory.mktemp("store") / "0.zarr"
    writer = GradientWriter(path, {}, 0, len(rows), kept)
    fill_store(writer, model, rows, factors.bases, "qkvo", PassOptions(64))
    probe, data = PROBES["induction"], repeats(8)
    point = Point(
        factors=factors,
        diagonal=fit_factors(model, rows, [HEAD], "qkvo", FIT, "diagonal"),
        gradients={
            head: probe_gradient(model, probe, head, data, "qkvo")[0] for head in heads
        },
        sizes=geometry(model),
        mode="qkvo",
        damping=0.1,
    )
    vectors = point.products()
    scores = stored_scores(zarr.open_group(path, mode="r"), vectors)
    return dict(zip(vectors, scores.T, strict=True)), point


def exact(factors, head, gradient, damping, mode="qkvo") -> np.ndarray:
    vector = solve(factors, blocks_of([head], mode), gradient, damping)
    rows, product = random_rows(40), Product("induction", head, vector)
    options = PassOptions(64)
    scores, _ = stream_scores(tiny_model(), rows, factors, [product], mode, options)
    return scores[:, 0]


def assert_close(one: np.ndarray, other: np.ndarray) -> None:
    assert np.linalg.norm(one - other) < 0.03 * np.linalg.norm(other)


@pytest.mark.parametrize("damping", [0.001, 0.01, 1.0])
def test_dampings_are_those_of_their_names(found, damping) -> None:
    scores, point = found
    wanted = exact(point.factors, HEAD, point.gradients[HEAD], damping)
    assert_close(scores[f"damping_{damping:g}"], wanted)


def test_the_diagonal_is_turned_into_the_stores_basis(found) -> None:
    scores, point = found
    wanted = exact(point.diagonal, HEAD, point.gradients[HEAD], 0.1)
    assert_close(scores["diagonal"], wanted)
    assert np.corrcoef(scores["diagonal"], scores["damping_0.01"])[0, 1] < 0.999


def test_query_and_key_alone_are_what_that_mode_scores(found) -> None:
    scores, point = found
    assert_close(
        scores["qk"], exact(point.factors, HEAD, point.gradients[HEAD], 0.1, "qk")
    )


def test_a_circuit_is_the_sum_over_its_heads(found) -> None:
    scores, point = found
    parts = [
        exact(point.factors, head, point.gradients[head], 0.1)
        for head in (HEAD, BEFORE)
    ]
    assert_close(scores["circuit"], parts[0] + parts[1])


def test_what_makes_no_difference_is_left_out(found) -> None:
    point = found[1]
    only = {HEAD: {"qk": point.gradients[HEAD]["qk"]}}
    alone = Point(point.factors, point.diagonal, only, point.sizes, "qk", 0.1)
    names = ["damping_0.001", "damping_0.01", "damping_1", "diagonal"]
    assert [*alone.products()] == names
