"""Held-out losses, in-context learning, and the batches of arms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.checkpoints.schedule import arm_schedule, checkpoint_steps
from headwater.errors import HeadwaterError
from headwater.evaluation.effects import series
from headwater.evaluation.losses import HeldOut, held_out_losses, icl_score
from headwater.evaluation.metrics import (
    COLUMNS,
    Questions,
    check_finite,
    checkpoint_metrics,
    metrics_table,
)
from headwater.heads.copy_gain import copy_gain
from headwater.heads.scores import SCORES
from headwater.interventions.arms import arm_rows
from headwater.probes import PROBES
from headwater.tables import read_table, write_table
from headwater.training.batches import arm_batches
from test_heads import ALL, window_rows
from tiny import ask, random_rows, repeats, row_loss, scattered, tiny_model, unit

HEAD, ATTENTION = unit("L1H2"), PROBES["previous_token"]

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


# In-context learning: within one document


END = 9  # the token after each document in these tests


def held_out(rows, domains=None, planted=None) -> HeldOut:
    names = ["prose"] * len(rows) if domains is None else domains
    tokens = torch.tensor(rows, dtype=torch.long)
    return HeldOut(tokens, np.array(names, object), END, planted)


def whole(rows: int, length: int) -> np.ndarray:
    return np.tile([0, length], (rows, 1))


def test_icl_is_late_minus_early_loss():
    losses = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 2.0, 1.0, 0.0, 1.0]])
    assert icl_score(losses, whole(2, 5), early=1, late=1) == 3.0 - 2.0
    assert icl_score(losses, whole(2, 5), early=2, late=2) == 2.5 - 2.0
    falling = np.arange(10.0, 0.0, -1)[None]
    assert icl_score(falling, whole(1, 10), early=2, late=3) == 2 - 9.5


@pytest.mark.parametrize(
    ("row", "losses"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4]),
        ([1, 2, 3, 4, 5, END], [0, 1, 2, 3]),  # not that of the end
        ([END, 2, 3, 4, 5, 6], [1, 2, 3, 4]),  # nor that of a first token
        ([1, END, 3, 4, 5, 6], [2, 3, 4]),
        ([1, 2, 3, 4, END, 6], [0, 1, 2]),
        ([1, END, 3, 4, 5, END], [2, 3]),
        ([END, END, 3, 4, 5, END], [2, 3]),
        ([1, 2, END, 4, 5, 6], [3, 4]),
        ([END, 2, END, 4, END, 6], []),
        ([END] * 6, []),
    ],
)
def test_a_rows_document_is_its_longest_stretch(row, losses):
    (found,) = held_out([row]).documents
    assert [*range(*found)] == losses


@settings(max_examples=100, derandomize=True, deadline=None)
@given(row=st.lists(st.sampled_from([1, 2, 3, 4, 5, END]), min_size=2, max_size=12))
def test_a_document_is_counted_from_its_own_first_token(row):
    """Against words: cut at the ends, drop what one document predicts of the next."""
    (found,) = held_out([row]).documents
    stretches, start = [], 0
    for place, token in enumerate([*row, END]):
        if token == END:
            stretches.append([*range(start, place - 1)])
            start = place + 1
    longest = max(map(len, stretches))
    assert [*range(*found)] == next(s for s in stretches if len(s) == longest)


def test_icl_is_not_diluted_by_other_documents():
    """A document in a row among others has the ICL score that it has alone."""
    alone = np.array([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    expected = icl_score(alone, whole(1, 6), early=2, late=2)
    packed = np.array([[7.0, 7.0, 7.0, *alone[0], 7.0]])
    rows = held_out([[1, 2, END, 3, 4, 5, 6, 1, 2, 3, END]])
    assert icl_score(packed, rows.documents, early=2, late=2) == expected
    whole_row = icl_score(packed, whole(1, 10), early=2, late=2)
    assert whole_row != expected


def test_without_a_long_document_there_is_no_icl():
    losses, halves = np.zeros((2, 10)), np.array([[0, 5], [5, 10]])
    assert icl_score(losses, halves, early=1, late=1) is None  # half is not most of it
    six = np.array([[0, 5], [2, 8]])
    assert icl_score(losses, six, early=3, late=3) == 0
    assert icl_score(losses, six, early=3, late=4) is None


# Groups and metrics


def test_losses_may_be_of_some_rows_of_each_domain() -> None:
    held = held_out([[row, 0, 0] for row in range(9)], ["a", "b", "a"] + ["a"] * 6)
    few = held.spread(3)
    assert few.domains.tolist() == ["a", "b", "a", "a"]
    assert few.tokens[:, 0].tolist() == [0, 1, 3, 6]  # the first, and ones later on
    assert few.copyable.shape == (4, 2)  # not those of all rows
    assert held.spread(None) is held
    assert held.spread(8).tokens.tolist() == held.tokens.tolist()


def test_natural_is_all_that_is_not_generated():
    domains = ["prose", "records", "code", "prose"]
    held = held_out([[1, 2, 3]] * 4, domains, "records")
    assert held.natural().tolist() == [True, False, True, True]
    assert {k: v.tolist() for k, v in held.by_domain().items()} == {
        "code": [False, False, True, False],
        "prose": [True, False, False, True],
        "records": [False, True, False, False],
    }
    assert held_out([[1, 2, 3]] * 4, domains).natural().all()  # only called like it


def questions(held: HeldOut, probes=None, **changed) -> Questions:
    """What a checkpoint is asked about some held-out rows."""
    asked = Questions(scattered(3), None, held, 2, 3, probes or {})
    return replace(asked, **changed)


def test_metrics_of_a_checkpoint_are_named_by_domain_and_by_head():
    model, rows = tiny_model(), random_rows(6) % 3
    domains = np.array(["b", "a", "records", "a", "b", "b"], object)
    sequences, other = scattered(3), repeats(4)
    targets = {
        "one": (PROBES["induction"], HEAD, sequences),
        "two": (ATTENTION, unit("L0H1"), sequences),
        "three": (ATTENTION, HEAD, other),
    }
    held_out = HeldOut(rows, domains, -1, "records")
    asked = questions(held_out, targets, natural=other)
    table = metrics_table(checkpoint_metrics(8, model, asked))
    assert list(table.columns) == COLUMNS
    assert set(table["step"]) == {8}
    assert not table.duplicated(["metric", "kind", "name"]).any()
    groups = {
        ("group", "natural"),
        *(("domain", name) for name in ("a", "b", "records")),
    }
    heads = {("head", f"L{layer}H{head}") for layer in range(3) for head in range(3)}
    pairs = zip(table["kind"], table["name"], strict=True)
    assert pd.Series(pairs).groupby(table["metric"]).agg(set).to_dict() == {
        **dict.fromkeys(("loss", "loss_copyable", "loss_rest", "icl"), groups),
        "copy_gain": {("group", "random")},
        "natural_copy_gain": {("group", "natural")},
        "ablation": {("head", str(HEAD)), ("head", "L0H1")},
        "probe": {("target", name) for name in targets},
        **dict.fromkeys(SCORES, heads),
    }
    losses = held_out_losses(model, rows)
    value = table.set_index(["metric", "kind", "name"])["value"]
    assert value["loss", "domain", "a"] == pytest.approx(losses[[1, 3]].mean())
    natural = losses[domains != "records"]
    assert value["loss", "group", "natural"] == pytest.approx(natural.mean())
    icl = icl_score(natural, whole(5, 9), 2, 3)
    assert value["icl", "group", "natural"] == pytest.approx(icl)
    copied = held_out.copyable & (domains == "b")[:, None]
    assert value["loss_copyable", "domain", "b"] == pytest.approx(losses[copied].mean())
    rest = ~held_out.copyable & (domains == "b")[:, None]
    assert value["loss_rest", "domain", "b"] == pytest.approx(losses[rest].mean())
    gain = copy_gain(model, sequences)
    assert value["copy_gain", "group", "random"] == pytest.approx(gain)
    gain = copy_gain(model, other)
    assert value["natural_copy_gain", "group", "natural"] == pytest.approx(gain)
    for name, (probe, own, data) in targets.items():
        expected = float(ask(probe.name, model, own, data).detach().mean())
        assert value["probe", "target", name] == pytest.approx(expected)
    attention = value["previous_token", "head", "L0H1"]
    assert value["probe", "target", "two"] == pytest.approx(attention)


OWN = [
    "natural",
    "records",
    "group",
    "domain",
    "L1H0",
    "nan",
    "Natural",
    " ",
    "x\x00",
    "x",
]


def test_no_domain_is_taken_for_anything_else(tmp_path):
    """Whatever it is called, also in the table on disk."""
    rows = random_rows(len(OWN))
    held = HeldOut(rows, np.array(OWN, object), -1)
    lines = checkpoint_metrics(0, tiny_model(), questions(held))
    write_table(tmp_path / "a.tsv", metrics_table(lines))
    table = read_table(tmp_path / "a.tsv")
    losses = held_out_losses(tiny_model(), rows)
    for name, own in zip(OWN, losses, strict=True):
        assert series(table, "loss", "domain", name)[0] == pytest.approx(own.mean())
    assert series(table, "loss", "group", "natural")[0] == pytest.approx(losses.mean())
    icl = icl_score(losses, whole(len(OWN), 9), 2, 3)
    assert series(table, "icl", "group", "natural")[0] == pytest.approx(icl)


def test_what_is_not_measured_has_no_line():
    names = np.array(["records", "records"], object)
    held = HeldOut(random_rows(2), names, -1, "records")
    table = metrics_table(checkpoint_metrics(0, tiny_model(), questions(held)))
    assert set(table["name"][table["metric"] == "loss"]) == {"records"}
    short = replace(held, tokens=torch.full((2, 10), END), end_of_document=END)
    found = {line[1] for line in checkpoint_metrics(0, tiny_model(), questions(short))}
    assert found >= {"loss", "loss_rest", "copying", "copy_gain"}
    assert not found & {"icl", "loss_copyable", "natural_copy_gain", "ablation"}


def test_a_metric_that_is_not_finite_is_refused_with_its_checkpoint():
    """Finite weights and hidden states; the logits overflow."""
    model = tiny_model()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e308)
    held = HeldOut(random_rows(2), np.array(["prose", "code"]), -1)
    lines = checkpoint_metrics(4, model, questions(held))
    with pytest.raises(HeadwaterError, match=r"^runs/step4: its loss of natural is "):
        check_finite(lines, Path("runs/step4"))


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
