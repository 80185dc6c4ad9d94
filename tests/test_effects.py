"""Effects of arms against the baseline, and what a mean over draws may say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.evaluation.effects import (
    ABOVE,
    EFFECTS,
    NEVER,
    REACHED,
    UNKNOWN,
    Curves,
    area,
    curves,
    effect,
    onset,
    summarise,
)
from headwater.evaluation.metrics import COLUMNS

STEPS = np.array([100, 150, 200, 400])
BASE = Curves(
    STEPS,
    score=np.array([0.1, 0.3, 0.7, 0.8]),
    icl=np.array([0.0, -0.1, -0.2, -0.4]),
    probe=np.array([-8.0, -7.0, -6.0, -5.0]),
)


def with_score(*score: float) -> Curves:
    return replace(BASE, score=np.array(score))


def test_the_baseline_has_no_effect_on_itself():
    found = effect(BASE, BASE)
    assert found["area_ratio"] == 1
    assert found["onset_shift"] == 0
    assert found["probe_change"] == 0
    assert found["final_score"] == 0.8
    assert found["final_icl"] == -0.4


def test_the_area_is_above_the_first_value_and_weighted_by_steps():
    assert area(BASE) == pytest.approx(50 * 0.1 + 50 * 0.4 + 200 * 0.65)


def test_a_flat_score_has_area_zero_and_no_onset():
    found = effect(with_score(0.1, 0.1, 0.1, 0.1), BASE)
    assert found["area_ratio"] == 0
    assert found["onset"] == NEVER
    assert np.isnan(found["onset_step"])
    assert np.isnan(found["onset_shift"])
    assert found["onset_at_least"] == pytest.approx(400 - 168.75)
    assert found["final_score"] == 0.1


def test_half_the_rise_is_half_the_area_and_a_faster_one_is_more():
    half = with_score(*(0.1 + (BASE.score - 0.1) / 2))
    assert effect(half, BASE)["area_ratio"] == pytest.approx(0.5)
    faster = effect(with_score(0.1, 0.7, 0.8, 0.8), BASE)
    assert faster["area_ratio"] > 1
    assert faster["onset_shift"] < 0
    below = effect(with_score(0.1, 0.0, 0.0, 0.0), BASE)
    assert below["area_ratio"] < 0


def test_the_onset_is_interpolated_between_checkpoints():
    assert onset(BASE, 0.4) == (REACHED, pytest.approx(150 + 50 * 0.25))
    assert onset(BASE, 0.75) == (REACHED, pytest.approx(300))
    assert onset(BASE, 0.3) == (REACHED, 150)
    for level, state in ((0.05, ABOVE), (0.1, ABOVE), (0.81, NEVER), (np.nan, UNKNOWN)):
        found, step = onset(BASE, level)
        assert found == state
        assert np.isnan(step)


def test_half_way_is_half_of_the_rise_wherever_it_begins():
    """The level is 0.45 here; half of the maximum would be 0.4."""
    assert effect(BASE, BASE)["onset_step"] == pytest.approx(150 + 50 * 0.375)
    later = effect(with_score(0.1, 0.1, 0.2, 0.8), BASE)
    assert later["onset"] == REACHED
    assert later["onset_step"] == pytest.approx(200 + 200 * 0.25 / 0.6)
    assert later["onset_shift"] == later["onset_step"] - (150 + 50 * 0.375)
    assert later["onset_at_least"] == later["onset_shift"]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.floats(0, 50), st.floats(0.01, 20), st.integers(0, 40))
def test_onsets_do_not_depend_on_where_a_score_starts(start, size, delay):
    """All scores raised, as a head that starts high: the same shift, never 0."""
    late = replace(BASE, score=np.interp(STEPS - delay, STEPS, BASE.score))
    plain = effect(late, BASE)["onset_shift"]
    raised = [replace(run, score=start + size * run.score) for run in (late, BASE)]
    assert effect(*raised)["onset_shift"] == pytest.approx(plain, abs=1e-6)
    assert (plain > 0) == (delay > 0)


def test_the_onset_is_the_first_crossing():
    found = onset(with_score(0.0, 0.8, 0.1, 0.9), 0.4)
    assert found == (REACHED, pytest.approx(125))


@pytest.mark.parametrize(
    ("baseline", "run", "state"),
    [
        ([0.5, 0.5, 0.5, 0.5], [0.5, 0.6, 0.7, 0.8], ABOVE),  # nothing to be half of
        ([0.9, 0.5, 0.2, 0.1], [0.9, 0.8, 0.8, 0.8], ABOVE),
        ([0.1, 0.3, 0.7, 0.8], [0.5, 0.1, 0.9, 0.9], ABOVE),
        ([0.1, 0.3, 0.7, 0.8], [0.1, np.nan, 0.7, 0.8], UNKNOWN),
        ([0.1, np.nan, 0.7, 0.8], [0.1, 0.3, 0.7, 0.8], UNKNOWN),
    ],
)
def test_a_run_without_an_onset_has_no_number_for_it(baseline, run, state):
    found = effect(with_score(*run), with_score(*baseline))
    assert found["onset"] == state
    for name in ("onset_step", "onset_shift", "onset_at_least"):
        assert np.isnan(found[name])


def test_the_change_of_the_probe_is_its_mean_difference_over_the_steps():
    late = replace(BASE, probe=BASE.probe - np.array([0.0, 0.0, 0.0, 3.0]))
    assert effect(late, BASE)["probe_change"] == pytest.approx(-3 * 200 / 2 / 300)
    lower = replace(BASE, probe=BASE.probe - 0.5)
    assert effect(lower, BASE)["probe_change"] == pytest.approx(-0.5)
    assert effect(with_score(0.1, 0.1, 0.1, 0.1), BASE)["probe_change"] == 0


def test_a_baseline_that_does_not_rise_has_no_ratio():
    flat = with_score(0.5, 0.5, 0.5, 0.5)
    assert np.isnan(effect(BASE, flat)["area_ratio"])


HEADS_OWN = "prefix_matching", "head", "L1H0"


def run_table() -> pd.DataFrame:
    lines = []
    for step in (400, 0, 100, 150, 200):
        for metric, kind, name, value in (
            ("prefix_matching", "head", "L1H0", step / 1000),
            ("prefix_matching", "head", "L0H0", 0.9),
            ("previous_token", "head", "L1H0", 0.5),
            ("icl", "domain", "natural", 7.0),
            ("icl", "group", "natural", -step / 100),
            ("icl", "domain", "prose", 7.0),
            ("probe", "target", "late", step / 50),
            ("probe", "target", "early", 9.0),
        ):
            lines.append((step, metric, kind, name, value))
    return pd.DataFrame(lines, columns=COLUMNS)


def test_curves_are_those_of_the_head_at_the_steps():
    steps = [100, 150, 400]
    found = curves(run_table(), HEADS_OWN, "late", steps)
    assert found.steps.tolist() == [100, 150, 400]
    assert found.score.tolist() == [0.1, 0.15, 0.4]
    assert found.icl.tolist() == [-1, -1.5, -4]
    assert found.probe.tolist() == [2, 3, 8]


def test_curves_that_lack_a_step_are_refused():
    """Areas over other steps than the baseline's cannot be compared with it."""
    with pytest.raises(KeyError):
        curves(run_table(), HEADS_OWN, "late", [100, 175, 400])


def test_curves_without_an_icl_score_have_no_number_for_it():
    table = run_table()
    without = table[table["metric"] != "icl"]
    back = "previous_token", "head", "L1H0"
    found = curves(without, back, "late", [100, 400])
    assert np.isnan(found.icl).all()
    assert found.probe.tolist() == [2, 8]


def draws(**columns) -> pd.DataFrame:
    """Lines of `effects.tsv` of one arm, with 1 where nothing is said."""
    lines = pd.DataFrame(columns)
    for name in {*EFFECTS, "onset_step", "onset_at_least", "overlap"} - {*columns}:
        lines[name] = 1.0
    return lines.assign(arm="a", action="remove", rows="random")


def test_a_summary_spans_the_draws_of_an_arm():
    effects = draws(
        onset=[REACHED] * 3,
        area_ratio=[0.5, 0.7, 0.9],
        onset_shift=[10.0, 20.0, 60.0],
        onset_at_least=[10.0, 20.0, 60.0],
        probe_change=[-0.3, 0.3, -0.6],
        final_score=[0.1, 0.2, 0.6],
        final_icl=[-0.5, -0.3, -0.1],
        overlap=[0.4, 0.5, 0.6],
    )
    other = effects[:1].assign(arm="z", action="none")
    found = summarise(pd.concat([other, effects]))
    assert found["arm"].tolist() == ["z", "a"]
    line = found.iloc[1]
    assert (line["action"], line["rows"], line["draws"]) == ("remove", "random", 3)
    assert line[["reached", "never_reached", "above_from_start"]].tolist() == [3, 0, 0]
    for name, expected in {
        "area_ratio": (0.7, 0.5, 0.9),
        "onset_shift": (30.0, 10.0, 60.0),
        "probe_change": (-0.2, -0.6, 0.3),
        "final_score": (0.3, 0.1, 0.6),
        "final_icl": (-0.3, -0.5, -0.1),
    }.items():
        values = [line[f"{name}_{how}"] for how in ("mean", "min", "max")]
        assert values == pytest.approx(expected)
    assert all(f"{name}_mean" in found for name in EFFECTS)
    assert line["onset_at_least"] == pytest.approx(30)
    assert line["overlap"] == pytest.approx(0.5)


nan = float("nan")


@pytest.mark.parametrize(
    ("states", "shifts", "bounds", "counts", "at_least", "lowest"),
    [
        ([REACHED, NEVER, NEVER], [10, nan, nan], [10, 90, 80], [1, 2, 0], 60, 10),
        ([NEVER, NEVER], [nan, nan], [90, 80], [0, 2, 0], 85, nan),
        ([ABOVE, NEVER], [nan, nan], [nan, 80], [0, 1, 1], nan, nan),
        ([UNKNOWN, REACHED], [nan, 5], [nan, 5], [1, 0, 0], nan, 5),
    ],
)
def test_a_draw_without_an_onset_is_not_left_out_of_a_mean(
    states, shifts, bounds, counts, at_least, lowest
):
    effects = draws(
        onset=states,
        onset_shift=np.array(shifts, float),
        onset_at_least=np.array(bounds, float),
    )
    found = summarise(effects).iloc[0]
    names = ["reached", "never_reached", "above_from_start"]
    assert found[names].tolist() == counts
    assert np.isnan(found["onset_shift_mean"])
    assert found["onset_at_least"] == pytest.approx(at_least, nan_ok=True)
    assert found["onset_shift_min"] == pytest.approx(lowest, nan_ok=True)


def test_a_draw_without_a_value_leaves_no_mean():
    found = summarise(draws(onset=[REACHED] * 2, final_icl=[-0.5, nan])).iloc[0]
    assert found[["final_icl_mean", "final_icl_min", "final_icl_max"]].isna().all()
