"""The stage of the metagradient: killed anywhere, told in words, and its gate."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from headwater.errors import HeadwaterError
from headwater.metagradient import linearity, stage
from headwater.metagradient.backward import WayBack
from headwater.metagradient.metric import measured_steps
from headwater.metagradient.smoothness import smoothness, tell
from headwater.metagradient.storage import Plan, Store, cut
from test_metagradient import (
    MEASURED,
    METRIC,
    RECIPE,
    ROWS,
    STEPS,
    Toy,
    derivative,
    weights_of,
)

PLANS = {
    "one checkpoint": cut(STEPS, [3], 2),
    "two of them": cut(STEPS, [3, 5], 2),
    "some kept": replace(cut(STEPS, [3], 2), kept=(0,)),
    "all kept": replace(cut(STEPS, [3], 3), kept=(0,)),
}
CLIPPED = replace(RECIPE, max_grad_norm=2.0)


def window(plan: Plan) -> stage.Window:
    replay = Toy(CLIPPED).replay(weights_of())
    known = {}
    for step in STEPS:
        known[step] = partial(lambda state: state, replay.state())
        replay.step(step)
    starts = {3, 5} if plan == PLANS["two of them"] else {3}
    known = {step: known[step] for step in starts}
    return stage.Window(replay, known, [METRIC, METRIC], MEASURED, ROWS, plan)


class Killed(BaseException):
    """No block of the library may go on after it."""


def same(found: WayBack, expected: WayBack) -> bool:
    others = expected.tensors()
    return all(torch.equal(x, others[name]) for name, x in found.tensors().items())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> WayBack:
    return stage.metagradient(
        window(PLANS["one checkpoint"]), tmp_path_factory.mktemp("whole")
    )


def test_the_stage_is_the_way_back_of_one_segment(undisturbed: WayBack) -> None:
    toy, weights = Toy(CLIPPED), weights_of()
    expected = derivative(toy, weights).scores[0]
    torch.testing.assert_close(*undisturbed.scores, rtol=1e-9, atol=1e-12)
    # Patterns, and so the gradient of the probe, are in float32 here.
    torch.testing.assert_close(
        undisturbed.scores[0], expected, rtol=1e-4, atol=1e-6 * expected.abs().max()
    )


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("late", [False, True])
def test_killed_at_any_file_it_ends_with_the_same_bits(
    plan: Plan, late: bool, undisturbed: WayBack, tmp_path: Path, monkeypatch
) -> None:
    """It is struck at every third file, before or after that has been written."""
    write, count = Store.write, 0

    def struck(self, path, tensors):
        nonlocal count
        count += 1
        if late:
            write(self, path, tensors)
        if count % 3 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name + ".part").write_bytes(b"half of")
            raise Killed
        if not late:
            write(self, path, tensors)

    monkeypatch.setattr(Store, "write", struck)
    lives = 1
    while True:
        try:
            found = stage.metagradient(window(plan), tmp_path)
            break
        except Killed:
            lives += 1
            assert lives < 30
    assert lives > 1
    assert same(found, undisturbed)


def test_a_diverged_adjoint_is_told_in_a_line(tmp_path: Path, monkeypatch) -> None:
    def broken(self, steps, end, way, progress):
        way.norms[:, 0] = float("inf")
        return way

    monkeypatch.setattr("headwater.metagradient.backward.Backward.through", broken)
    with pytest.raises(HeadwaterError, match="adjoint is not finite before step 9"):
        stage.metagradient(window(PLANS["one checkpoint"]), tmp_path)


@pytest.mark.parametrize("jump", [1.5, 20.0])
def test_a_step_that_multiplies_the_adjoint_is_named(jump, caplog) -> None:
    steps = range(100, 104)
    jumps = torch.tensor([[1.0, 1.1, jump, 0.9]]).double()
    norms = torch.tensor([[jump, jump, jump, 1.0, 1.0]]).double()
    values = torch.tensor([[0.25, 0.5]]).double()
    way = WayBack(None, torch.zeros(1, 8), norms, jumps, values)
    found = smoothness(way, ["t"], steps, [102, 104])
    json.dumps(found, allow_nan=False)
    one = found["t"]
    assert one["worst"][0] == {"step": 102, "rows": [204, 205], "factor": jump}
    assert one["values"] == {"102": 0.25, "104": 0.5}
    assert [*one["norms"]] == ["100", "101", "102", "103", "104"]
    assert one["smooth"] == (jump < 5)
    assert ("training.eps" in one["advice"]) == (jump > 5)
    with caplog.at_level("INFO", logger="headwater"):
        tell(found)
    assert "in one step (102, rows 204 to 205)" in caplog.text
    assert ("may be noise" in caplog.text) == (jump > 5)


def test_small_factors_of_many_steps_are_told_too() -> None:
    """What F adds at its checkpoints does not hide how often it is multiplied."""
    steps = range(200)
    for factor, smooth in ((1.01, True), (1.04, False)):
        norms = torch.full((1, 201), 9.0).double()
        jumps = torch.full((1, 200), factor).double()
        values = torch.zeros(1, 4).double()
        way = WayBack(None, torch.zeros(1, 400), norms, jumps, values)
        one = smoothness(way, ["t"], steps, [50, 100, 150, 200])["t"]
        assert one["growth"] == pytest.approx(factor**200, rel=1e-4)
        assert one["smooth"] is smooth


def test_a_gate_that_fails_is_told_in_a_line() -> None:
    scores = np.full(4, 0.1, np.float32)
    lines = [
        linearity.line_of(name, weight, scores, 0.5, 0.5 + change)
        for name, change in (("good", -0.0021), ("bad", 0.003))
        for weight in linearity.WEIGHTS
    ]
    [told] = linearity.unpredicted(linearity.linearity_table(lines))
    assert told.startswith("bad: a random tenth of the rows x 0.995 changed F by 0.003")


def test_the_gate_compares_what_scores_add_up_to() -> None:
    group = linearity.group_of(40, np.random.default_rng(0))
    assert len(group) == 4
    assert group.tolist() == sorted({*group.tolist()})
    scores = np.array([0.5, -0.25, 1.0, 0.75], np.float32)
    lines = [
        linearity.line_of("t", w, scores, 0.5, 0.5 - 2 * (1 - w)) for w in (0.5, 0)
    ]
    table = linearity.linearity_table(lines)
    assert table["predicted"].tolist() == [-1.0, -2.0]
    assert table["found"].tolist() == [-1.0, -2.0]
    assert table["ratio"].tolist() == [1.0, 1.0]
    assert np.isnan(linearity.line_of("t", 0.0, scores, 0.5, 0.5)[-1])


def test_f_is_measured_after_the_windows_start() -> None:
    assert measured_steps([100, 120, 140], "mean") == [120, 140]
    assert measured_steps([100, 120, 140], "end") == [140]
