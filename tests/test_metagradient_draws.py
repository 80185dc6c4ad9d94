"""Smoothed metagradients: what each training is, its derivative, and their mean."""

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from headwater.corpus.window import WindowRows
from headwater.errors import HeadwaterError
from headwater.interventions.files import ArmRows
from headwater.metagradient import stage
from headwater.metagradient.backward import WayBack
from headwater.metagradient.draws import (
    by_row,
    check_divided,
    draws_of,
    mean_and_error,
    segment_ends,
)
from headwater.metagradient.smoothness import smoothness
from headwater.metagradient.storage import Store, cut
from headwater.training.batches import arm_batches
from test_metagradient import (
    MEASURED,
    METRIC,
    RECIPE,
    ROWS,
    START,
    STEPS,
    Toy,
    derivative,
    rows_of,
    there_and_back,
    unrolled,
    weights_of,
)
from test_metagradient_stage import Killed

COUNT = len(STEPS) * ROWS
# A larger eps: else nearly all that rows do is done by the first part of their weight.
SMOOTH = replace(RECIPE, eps=1e-2)


class Rows(WindowRows):
    """The toy's rows as a window."""

    batch_size, start = ROWS, START
    tokens = torch.cat([rows_of(step) for step in STEPS]).numpy()

    def __init__(self) -> None:
        """Of no store."""

    def take(self, numbers: np.ndarray) -> np.ndarray:
        return self.tokens[numbers]


# Segments


@pytest.mark.parametrize(
    ("compared", "length", "ends"),
    [
        ([0, 50, 100, 150, 200, 220], 100, [100, 200, 220]),
        ([0, 40, 80, 120, 160], 100, [80, 160]),
        ([0, 150, 300], 100, [100, 150, 250, 300]),
        ([0, 500], 200, [200, 400, 500]),
        ([16, 24, 32, 40, 48], 100, [48]),
        ([3, 5, 7, 9], 1, [4, 5, 6, 7, 8, 9]),
    ],
)
def test_a_segment_ends_at_the_last_checkpoint_within_its_length(
    compared, length, ends
) -> None:
    assert segment_ends(compared, length) == ends


@pytest.mark.parametrize("pieces", [[STEPS], [range(3, 4), range(4, 8), range(8, 9)]])
def test_a_row_is_scored_by_f_at_its_own_segments_end(pieces) -> None:
    ends = [5, 8, 9]
    toy, weights = Toy(replace(RECIPE, max_grad_norm=2.0), ends), weights_of()
    way = derivative(toy, weights, pieces, anew=True)
    found, before = way.scores[0].view_as(weights), START
    for place, end in enumerate(ends):
        toy.measured = [end]
        own = slice(before - START, end - START)
        with sdpa_kernel(SDPBackend.MATH):
            expected = unrolled(toy, weights)[own]
        assert (found[own] - expected).norm() / expected.norm() < 1e-10
        assert float(way.values[0, place]) == pytest.approx(toy.value(weights))
        before = end


def test_one_segment_is_the_metagradient_of_the_end() -> None:
    toy, weights = Toy(RECIPE, [STEPS.stop]), weights_of()
    found, expected = (derivative(toy, weights, anew=anew) for anew in (True, False))
    for name, value in expected.tensors().items():
        assert torch.equal(value, found.tensors()[name]), name


def test_the_growth_told_is_that_of_one_segment() -> None:
    jumps = torch.tensor([[3.0, 2.0, 4.0, 1.0]]).double()
    values, norms = torch.zeros(1, 2).double(), torch.ones(1, 5).double()
    way = WayBack(None, torch.zeros(1, 8), norms, jumps, values)
    found = smoothness(way, ["t"], range(10, 14), [12, 14], anew=True)["t"]
    assert found["growth"] == 6
    way.jumps[0, 2] = 40
    advice = smoothness(way, ["t"], range(10, 14), [12, 14], anew=True)["t"]["advice"]
    assert "before step 12, in its segment" in advice
    assert "metagradient.segment" in advice


# Other trainings


def test_subsets_are_random_halves_and_their_others() -> None:
    draws = draws_of("subsets", 40, 4, 0)
    for draw in draws:
        assert draw.rows.tolist() == [*range(40)]
        assert sorted(draw.weights.tolist()) == 20 * [0] + 20 * [1]
        assert np.flatnonzero(draw.weights == 0).tolist() == draw.picked.tolist()
    for one, other in (draws[:2], draws[2:]):
        assert (one.weights + other.weights == 1).all()
    assert draws[0].picked.tolist() != draws[2].picked.tolist() != [*range(20)]
    other = draws_of("subsets", 40, 1, 1)[0]
    assert other.picked.tolist() != draws[0].picked.tolist()


def test_the_path_is_at_the_middles_of_equal_parts() -> None:
    draws = draws_of("path", 6, 4, 0)
    found = [{*draw.weights.tolist()} for draw in draws]
    assert found == [{0.125}, {0.375}, {0.625}, {0.875}]


def test_the_first_order_is_the_true_one() -> None:
    first, *others = draws_of("orders", 40, 3, 0)
    assert first.rows.tolist() == [*range(40)]
    for draw in others:
        assert draw.rows.tolist() != sorted(draw.rows) == [*range(40)]
        assert (draw.weights == 1).all()
    assert others[0].rows.tolist() != others[1].rows.tolist()


@pytest.mark.parametrize("smoothing", ["subsets", "path", "orders"])
def test_more_draws_leave_the_seeds_of_the_first_as_they_are(smoothing) -> None:
    few, many = (draws_of(smoothing, 20, n, 5)[1] for n in (3, 6))
    assert few.rows.tolist() == many.rows.tolist()
    assert few.picked.tolist() == many.picked.tolist()


def placed(draw: ArmRows, weights: torch.Tensor):
    """Batches of a draw with the weight of every row, wherever it stands, given."""

    def batch(step: int):
        rows = [int(draw.rows[(step - START) * ROWS + i]) for i in range(ROWS)]
        return torch.from_numpy(Rows.tokens[rows]), weights[rows]

    return batch


@pytest.mark.parametrize("smoothing", ["subsets", "path", "orders"])
def test_each_rows_derivative_is_the_central_difference_of_that_very_training(
    smoothing,
) -> None:
    toy, draw = Toy(RECIPE), draws_of(smoothing, COUNT, 4, 0)[1]
    way = there_and_back(toy.replay_of(arm_batches(Rows(), draw, START)), MEASURED)
    found = by_row(way.scores, draw)[0]
    weights = torch.empty(COUNT).double()
    weights[torch.from_numpy(draw.rows)] = torch.from_numpy(draw.weights).double()
    there = weights > 0
    assert found.isnan().tolist() == (~there).tolist()
    assert there.sum() == (COUNT // 2 if smoothing == "subsets" else COUNT)
    step, expected = 1e-5, torch.zeros(COUNT).double()
    for row in there.nonzero():
        moved = torch.zeros(COUNT).double()
        moved[row] = step
        up, down = (
            toy.value_of_training(placed(draw, weights + sign * moved))
            for sign in (1, -1)
        )
        expected[row] = (up - down) / (2 * step)
    size = float(expected.abs().max())
    assert size > 1e-5
    torch.testing.assert_close(
        found[there], expected[there], rtol=1e-5, atol=1e-6 * size
    )


def test_along_the_path_scores_add_up_to_what_all_rows_do() -> None:
    toy, total = Toy(SMOOTH), 0.0
    draws = draws_of("path", COUNT, 8, 0)
    for draw in draws:
        replay = toy.replay_of(arm_batches(Rows(), draw, START))
        total += float(there_and_back(replay, MEASURED).scores.sum()) / len(draws)
    ends = [
        toy.value_of_training(placed(draws[0], torch.full((COUNT,), a).double()))
        for a in (0.0, 1.0)
    ]
    assert total == pytest.approx(ends[1] - ends[0], rel=0.01)
    once = float(derivative(toy, torch.ones(len(STEPS), ROWS).double()).scores.sum())
    assert abs(once / (ends[1] - ends[0]) - 1) > 0.1  # which no derivative alone does


def test_a_batch_without_rows_is_refused_where_it_divides() -> None:
    draws = draws_of("subsets", 20, 3, 0)
    draws[1].weights[5:10] = 0
    check_divided(draws, 5, "fixed")
    with pytest.raises(HeadwaterError, match="draw 1 leaves out all 5 rows of a batch"):
        check_divided(draws, 5, "kept")


def test_the_mean_has_the_standard_error_of_its_draws() -> None:
    nan = float("nan")
    rows = [[1.0, 2.0, -4.0, 0.5], [3.0, 3.0, 3.0, 3.0], [nan, 1.0, nan, 4.0]]
    mean, error = mean_and_error(torch.tensor(rows).T)
    assert mean.tolist() == [-0.125, 3.0, 2.5]
    assert error[0] == pytest.approx(statistics.stdev(rows[0]) / 4**0.5)
    assert error[1] == 0
    assert error[2] == pytest.approx(statistics.stdev([1.0, 4.0]) / 2**0.5)


# One training after the other


def windows(made: list[int]) -> list:
    """Those of three orders, and which were begun."""

    def window(number: int, draw: ArmRows) -> stage.Window:
        made.append(number)
        toy = Toy(SMOOTH)
        replay = toy.replay_of(arm_batches(Rows(), draw, START))
        begin, plan = replay.state(), cut(STEPS, [START], 2)
        return stage.Window(
            replay, {START: lambda: begin}, [METRIC], MEASURED, ROWS, plan
        )

    draws = draws_of("orders", COUNT, 3, 0)
    return [
        lambda number=number, draw=draw: window(number, draw)
        for number, draw in enumerate(draws)
    ]


def tensors(ways: list[WayBack]) -> list[dict[str, torch.Tensor]]:
    return [way.tensors() for way in ways]


def test_killed_in_or_between_draws_it_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch
) -> None:
    made: list[int] = []
    expected = tensors(stage.averaged(windows(made), tmp_path / "whole"))
    assert made == [0, 1, 2]
    assert not torch.equal(expected[0]["scores"], expected[1]["scores"])
    write, count = Store.write, 0

    def struck(self, path, given):
        nonlocal count
        count += 1
        if count % 2 == 0:
            raise Killed
        write(self, path, given)
        if path.stem == "0":
            raise Killed  # the first draw is done, and its folder still there

    monkeypatch.setattr(Store, "write", struck)
    made, lives = [], 1
    while True:
        try:
            found = tensors(stage.averaged(windows(made), tmp_path / "killed"))
            break
        except Killed:
            lives += 1
            assert lives < 60
    assert lives > 3
    assert made == sorted(made)  # no finished draw is begun again
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            assert torch.equal(one[name], value), name


def test_another_cut_begins_a_draw_again_and_keeps_finished_ones(
    tmp_path: Path, monkeypatch
) -> None:
    made: list[int] = []
    making = windows(made)
    expected = tensors(stage.averaged(making, tmp_path / "whole"))
    write = Store.write

    def struck(self, path, given):
        write(self, path, given)
        if path.name == "way_back.safetensors" and path.parent.name == "1.part":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", struck)
        with pytest.raises(Killed):
            stage.averaged(making, tmp_path / "killed")
    made.clear()
    other = [
        lambda make=make: replace(make(), plan=cut(STEPS, [3], 4)) for make in making
    ]
    found = tensors(stage.averaged(other, tmp_path / "killed"))
    assert made == [1, 2]
    for one, wanted in zip(found, expected, strict=True):
        assert torch.equal(one["scores"], wanted["scores"])
