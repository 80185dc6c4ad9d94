"""Held-out losses, in-context learning, effects of arms, and the batches of arms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from headwater.checkpoints.schedule import arm_schedule, checkpoint_steps
from headwater.errors import HeadwaterError
from headwater.evaluation.effects import (
    EFFECTS,
    Curves,
    area,
    curves,
    effect,
    onset,
    summarise,
)
from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.evaluation.metrics import (
    COLUMNS,
    check_finite,
    checkpoint_metrics,
    metrics_table,
)
from headwater.geometry import Head
from headwater.interventions.arms import arm_rows
from headwater.probes import PROBES
from headwater.training.batches import arm_batches
from test_heads import ALL, window_rows
from tiny import random_rows, repeated_rows, row_loss, tiny_model

HEAD, ATTENTION = Head(1, 2), PROBES["previous_token"]

# Losses


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_held_out_losses_are_the_cross_entropy_of_every_token(batch_size):
    model, rows = tiny_model(), random_rows(5)
    found = held_out_losses(model, rows, batch_size)
    assert found.shape == (5, 9)
    assert found.dtype == np.float64
    with torch.no_grad():
        logits = model(rows[:, :-1]).logits
        wanted = -logits.log_softmax(-1).gather(2, rows[:, 1:, None])[..., 0]
        sums = [row_loss(model, row, row[1:]).item() for row in rows]
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-10)
    np.testing.assert_allclose(found.sum(axis=1), sums, rtol=1e-10)


def test_icl_is_late_minus_early_loss():
    losses = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 2.0, 1.0, 0.0, 1.0]])
    assert icl_score(losses, early=1, late=1) == 3.0 - 2.0
    assert icl_score(losses, early=2, late=2) == 2.5 - 2.0
    falling = np.arange(10.0, 0.0, -1)[None]
    assert icl_score(falling, early=2, late=3) == 2 - 9.5


def test_groups_are_the_domains_and_all_that_is_not_generated():
    domains = np.array(["prose", "records", "code", "prose"])
    groups = HeldOut(torch.zeros(4, 3).long(), domains).groups()
    assert list(groups) == ["natural", "code", "prose", "records"]
    assert groups["natural"].tolist() == [True, False, True, True]
    assert groups["records"].tolist() == [False, True, False, False]


def test_metrics_of_a_checkpoint_are_named_by_domain_and_by_head():
    model, rows = tiny_model(), random_rows(6)
    domains = np.array(["b", "a", "records", "a", "b", "b"])
    sequences = repeated_rows(3)
    targets = {"one": (PROBES["induction"], HEAD), "two": (ATTENTION, HEAD)}
    held_out = HeldOut(rows, domains)
    lines = checkpoint_metrics(8, model, sequences, held_out, 2, 3, targets)
    table = metrics_table(lines)
    assert list(table.columns) == COLUMNS
    assert set(table["step"]) == {8}
    assert not table.duplicated(["metric", "name"]).any()
    names = table.groupby("metric")["name"].agg(set).to_dict()
    groups = {"natural", "a", "b", "records"}
    heads = {f"L{layer}H{head}" for layer in range(3) for head in range(3)}
    scores = ("prefix_matching", "previous_token", "copying")
    assert names == {
        "loss": groups,
        "icl": groups,
        "probe": {*targets},
        **dict.fromkeys(scores, heads),
    }
    losses = held_out_losses(model, rows)
    value = table.set_index(["metric", "name"])["value"]
    assert value["loss", "a"] == pytest.approx(losses[[1, 3]].mean())
    natural = losses[domains != "records"]
    assert value["loss", "natural"] == pytest.approx(natural.mean())
    assert value["icl", "natural"] == pytest.approx(icl_score(natural, 2, 3))
    repeated = held_out_losses(model, sequences)[:, sequences.shape[1] // 2 :]
    assert value["probe", "one"] == pytest.approx(-repeated.mean())
    assert value["probe", "two"] == pytest.approx(value["previous_token", str(HEAD)])


def test_a_domain_without_rows_has_no_line():
    held = HeldOut(random_rows(2), np.array(["records", "records"]))
    table = metrics_table(
        checkpoint_metrics(0, tiny_model(), repeated_rows(2), held, 2, 3, {})
    )
    assert set(table["name"][table["metric"] == "loss"]) == {"records"}


def test_a_metric_that_is_not_finite_is_refused_with_its_checkpoint():
    """Finite weights and hidden states; the logits overflow."""
    model = tiny_model()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e308)
    held = HeldOut(random_rows(2), np.array(["prose", "code"]))
    lines = checkpoint_metrics(4, model, repeated_rows(2), held, 2, 3, {})
    with pytest.raises(HeadwaterError, match=r"^runs/step4: its loss of natural is "):
        check_finite(lines, Path("runs/step4"))


# Effects

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
    assert np.isnan(found["onset_step"])
    assert np.isnan(found["onset_shift"])
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
    assert onset(BASE, 0.4) == pytest.approx(150 + 50 * 0.25)
    assert onset(BASE, 0.75) == pytest.approx(300)
    assert onset(BASE, 0.3) == 150
    assert onset(BASE, 0.05) == 100
    assert np.isnan(onset(BASE, 0.81))
    later = effect(with_score(0.1, 0.1, 0.2, 0.8), BASE)
    assert later["onset_step"] == pytest.approx(200 + 200 / 3)
    assert later["onset_shift"] == pytest.approx(200 + 200 / 3 - 162.5)


def test_the_onset_is_the_first_crossing():
    assert onset(with_score(0.0, 0.8, 0.1, 0.9), 0.4) == pytest.approx(125)


def test_the_change_of_the_probe_is_its_mean_difference_over_the_steps():
    late = replace(BASE, probe=BASE.probe - np.array([0.0, 0.0, 0.0, 3.0]))
    assert effect(late, BASE)["probe_change"] == pytest.approx(-3 * 200 / 2 / 300)
    lower = replace(BASE, probe=BASE.probe - 0.5)
    assert effect(lower, BASE)["probe_change"] == pytest.approx(-0.5)
    assert effect(with_score(0.1, 0.1, 0.1, 0.1), BASE)["probe_change"] == 0


def test_a_baseline_that_does_not_rise_has_no_ratio():
    flat = with_score(0.5, 0.5, 0.5, 0.5)
    assert np.isnan(effect(BASE, flat)["area_ratio"])


def run_table() -> pd.DataFrame:
    lines = []
    for step in (400, 0, 100, 150, 200):
        for metric, name, value in (
            ("prefix_matching", "L1H0", step / 1000),
            ("prefix_matching", "L0H0", 0.9),
            ("previous_token", "L1H0", 0.5),
            ("icl", "natural", -step / 100),
            ("icl", "prose", 7.0),
            ("probe", "late", step / 50),
            ("probe", "early", 9.0),
        ):
            lines.append((step, metric, name, value))
    return pd.DataFrame(lines, columns=COLUMNS)


def test_curves_are_those_of_the_head_at_the_steps():
    steps = [100, 150, 400]
    found = curves(run_table(), "prefix_matching", "L1H0", "late", steps)
    assert found.steps.tolist() == [100, 150, 400]
    assert found.score.tolist() == [0.1, 0.15, 0.4]
    assert found.icl.tolist() == [-1, -1.5, -4]
    assert found.probe.tolist() == [2, 3, 8]


def test_curves_that_lack_a_step_are_refused():
    """Areas over other steps than the baseline's cannot be compared with it."""
    with pytest.raises(KeyError):
        curves(run_table(), "prefix_matching", "L1H0", "late", [100, 175, 400])


def test_a_summary_spans_the_draws_of_an_arm():
    nan = float("nan")
    effects = pd.DataFrame(
        {
            "arm": ["z", "a", "a", "a"],
            "action": ["none", "remove", "remove", "remove"],
            "rows": ["none", "random", "random", "random"],
            "onset_step": [200.0, 210.0, nan, 250.0],
            "area_ratio": [1.0, 0.5, 0.7, 0.9],
            "onset_shift": [0.0, 10.0, nan, 50.0],
            "probe_change": [0.0, -0.3, 0.3, -0.6],
            "final_score": [0.8, 0.1, 0.2, 0.6],
            "final_icl": [-1.0, -0.5, -0.3, -0.1],
        }
    )
    found = summarise(effects)
    assert found["arm"].tolist() == ["z", "a"]
    line = found.iloc[1]
    assert (line["action"], line["rows"], line["draws"]) == ("remove", "random", 3)
    assert line["never_reached"] == 1
    assert found["never_reached"].tolist() == [0, 1]
    for name, expected in {
        "area_ratio": (0.7, 0.5, 0.9),
        "onset_shift": (30.0, 10.0, 50.0),  # of the draws that reached it
        "probe_change": (-0.2, -0.6, 0.3),
        "final_score": (0.3, 0.1, 0.6),
        "final_icl": (-0.3, -0.5, -0.1),
    }.items():
        values = [line[f"{name}_{how}"] for how in ("mean", "min", "max")]
        assert values == pytest.approx(expected)
    assert all(f"{name}_mean" in found for name in EFFECTS)


def test_draws_that_never_reach_the_onset_have_none():
    line = {"arm": "a", "action": "remove", "rows": "top", "onset_step": float("nan")}
    effects = pd.DataFrame([{**line, **dict.fromkeys(EFFECTS, float("nan"))}])
    found = summarise(effects).iloc[0]
    assert np.isnan(found["onset_shift_mean"])
    assert found["never_reached"] == 1


# Schedules and batches of arms


def test_an_arm_is_kept_at_both_ends_and_regularly_between():
    assert arm_schedule(600, 800, 50) == [600, 650, 700, 750, 800]
    assert arm_schedule(600, 770, 50) == [600, 650, 700, 750, 770]
    assert arm_schedule(3, 4, 50) == [3, 4]


@pytest.mark.parametrize(("every", "times"), [(50, 1), (20, 1), (20, 3), (7, 2)])
def test_an_arm_is_kept_only_where_the_baseline_is(every, times):
    """Whatever window is found: it may start at a power of two."""
    baseline = checkpoint_steps(700, every)
    for start in baseline:
        for end in baseline:
            if start < end:
                found = arm_schedule(start, end, times * every)
                assert set(found) <= set(baseline)
                assert found == sorted(found)
                assert (found[0], found[-1]) == (start, end)
                gaps = np.diff(found)
                assert gaps.min() > 0
                assert gaps.max() <= times * every


@pytest.mark.parametrize("action", ["remove", "repeat", "insert"])
def test_an_arms_batches_are_its_plans_rows_and_weights_in_order(tmp_path, action):
    window = window_rows(tmp_path)  # steps 3 to 7, 8 rows each
    picked = np.array([0, 9, 10, 31])
    plan = arm_rows(action, picked, len(window), np.random.default_rng(0))
    batch = arm_batches(window, plan, first_step=3)
    seen, weights = zip(*(batch(step) for step in range(3, 7)), strict=True)
    assert all(rows.shape == (8, 17) for rows in seen)
    expected, wanted = ALL[24:56].copy(), np.ones(32, np.float32)
    if action == "insert":
        expected = ALL[24:56][plan.rows]
        assert (expected != ALL[24:56]).any(axis=1).sum() == 4
    else:
        wanted[picked] = 0 if action == "remove" else 2
    np.testing.assert_array_equal(torch.cat(seen), expected)
    np.testing.assert_array_equal(torch.cat(weights), wanted)
    assert torch.cat(weights).dtype == torch.float32
    again = batch(5)[0]  # a resumed run asks for any step first
    np.testing.assert_array_equal(again, expected[16:24])


def test_an_arm_without_changes_has_the_baselines_batches(tmp_path):
    window = window_rows(tmp_path)
    empty = np.array([], np.int64)
    plan = arm_rows("remove", empty, len(window), np.random.default_rng(0))
    batch = arm_batches(window, plan, first_step=3)
    for step in range(3, 7):
        rows, weights = batch(step)
        np.testing.assert_array_equal(rows, window.rows.tokens(8 * step, 8 * step + 8))
        assert (weights == 1).all()
