"""Scores of several checkpoints as one: every checkpoint has an equal say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.curvature.ekfac import fit_factors
from headwater.geometry import Head
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.identity import identity
from headwater.influence.average import (
    PointScores,
    counted,
    mean_scores,
    point_factors,
    within,
)
from headwater.influence.files import (
    Product,
    read_point_factors,
    read_scores,
    write_scores,
)
from headwater.influence.inverse import solve
from headwater.influence.scores import stream_scores, token_scores
from headwater.probes import PROBES
from test_corpus_support import small_config
from tiny import random_rows, repeats, tiny_model, unit

nan = np.nan


def points_of(columns: list[np.ndarray]) -> np.ndarray:
    """Scores [rows, points], point by point; later ones score the last rows only."""
    found = np.full((len(columns[0]), len(columns)), nan)
    for point, column in enumerate(columns):
        found[len(found) - len(column) :, point] = column
    return found


def test_scores_are_kept_by_row_and_point():
    found = PointScores(4, 2, 2)
    found.add(0, slice(0, 4), np.arange(8.0).reshape(4, 2), np.ones(4))
    place = within(range(7, 9), range(5, 9))
    found.add(1, place, np.full((2, 2), 10.0), np.full(2, 3.0))
    assert found.scores[:, 1, 0].tolist() == [1, 3, 5, 7]
    np.testing.assert_array_equal(found.scores[:, 0, 1], [nan, nan, 10, 10])
    assert found.losses.tolist() == [1, 1, 3, 3]
    assert counted(found.scores[:, 0]).tolist() == [1, 1, 2, 2]


def test_each_row_is_averaged_over_the_checkpoints_before_it():
    scores = points_of([np.array([3.0, -3.0, 3.0, -3.0]), np.array([6.0, 6.0])])
    assert point_factors(scores).tolist() == [1, 0.5]
    assert mean_scores(scores, np.array([1, 0.5])).tolist() == [3, -3, 3, 0]


@pytest.mark.parametrize("scale", [1.0, 1e-20, 3e7])
def test_the_scores_of_one_checkpoint_stay_as_they_are(scale):
    scores = (scale * np.random.default_rng(0).normal(size=(9, 1))).astype(np.float32)
    found = mean_scores(scores, point_factors(scores))
    np.testing.assert_array_equal(found, scores[:, 0])


sizes = st.floats(1e-6, 1e6)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(sizes, min_size=1, max_size=4), st.integers(0, 99))
def test_how_far_a_checkpoints_scores_spread_gives_it_no_more_say(scales, seed):
    generator = np.random.default_rng(seed)
    columns = [generator.normal(size=40 - 6 * point) for point in range(len(scales))]
    even, uneven = (
        points_of([size * column for size, column in zip(by, columns, strict=True)])
        for by in ([1.0] * len(scales), scales)
    )
    means = [mean_scores(s, point_factors(s)) for s in (even, uneven)]
    np.testing.assert_allclose(means[1], scales[0] * means[0], rtol=1e-5, atol=1e-12)
    spread = np.sqrt(np.nanmean((uneven * point_factors(uneven)) ** 2, axis=0))
    np.testing.assert_allclose(spread, spread[0])


@pytest.mark.parametrize(
    ("columns", "factors"),
    [
        ([[0, 0, 0], [2, -2, 2]], [1, 1]),  # the first says nothing
        ([[1, -1, 1], [0, 0]], [1, 1]),
        ([[0, 0], [0, 0]], [1, 1]),
        ([[0, 0], [2, 2], [4, 4]], [1, 1, 0.5]),
    ],
)
def test_a_checkpoint_whose_scores_are_all_0_changes_no_other(columns, factors):
    scores = points_of([np.array(column, float) for column in columns])
    assert point_factors(scores).tolist() == factors


def test_a_row_without_any_score_is_no_0():
    with pytest.raises(AssertionError, match="a row without a score"):
        mean_scores(np.array([[1.0, 2.0], [nan, nan]]), np.ones(2))


def test_the_factors_come_back_from_disk_exactly(tmp_path):
    config, factors = small_config(), [1.0, 0.1, 1 / 3]
    scores = np.arange(12, dtype=np.float32).reshape(4, 3)
    scores[0, 1] = nan
    stamp, losses = identity("corpus", config), np.zeros(4, np.float32)
    write_scores(tmp_path / "0000.zarr", 0, scores, losses, stamp)
    found = read_scores([tmp_path / "0000.zarr"] * 2, config)
    np.testing.assert_array_equal(found, np.concatenate([scores, scores]))
    path = tmp_path / "all.zarr"
    write_scores(path, 0, scores[:, 0], losses, stamp, point_factors=factors)
    assert read_scores([path], config).shape == (4,)
    assert read_point_factors(path, config).tolist() == factors


def test_the_parts_of_a_rows_tokens_add_up_to_its_mean_score():
    own, rows, points = unit(Head(1, 2)), random_rows(12), 3
    data, probe = repeats(4), PROBES["induction"]
    whole, tokens = PointScores(12, 1, points), PointScores(12, 9, points)
    for point in range(points):
        model = tiny_model(seed=point)
        factors = fit_factors(model, rows, [own], PassOptions(16, 3))
        gradient, _ = probe_gradient(model, probe, own, data)
        vector = 10**point * solve(factors, own.blocks, gradient, 0.1)
        asked = model, rows[4 * point :], factors
        product, options = Product("induction", own, vector), PassOptions(8)
        scores, _ = stream_scores(*asked, [product], options)
        whole.add(point, slice(4 * point, 12), scores)
        parts = token_scores(*asked, product, options)
        tokens.add(point, slice(4 * point, 12), parts)
    scale = point_factors(whole.scores[:, 0])
    assert scale[2] < 0.1 < scale[0]
    sums = mean_scores(tokens.scores, scale).sum(axis=1)
    expected = mean_scores(whole.scores[:, 0], scale)
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-6)
