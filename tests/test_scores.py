"""Scores that follow from others, Adam's divisors, and arms that name a score."""

import copy
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from headwater.checkpoints.files import TrainerState, adam_steps, save_checkpoint
from headwater.evaluation.verdicts import controls_of
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions
from headwater.identity import identity
from headwater.influence.derived import derived_scores, own_time
from headwater.interventions.facts import fact_files, read_facts, write_facts
from headwater.interventions.kinds import facts_of
from headwater.interventions.scores import SCORES, SMOOTHED, THROUGH
from headwater.interventions.subsets import judged_files
from headwater.models.sites import block_of
from test_identity import CONFIG
from tiny import random_rows, tiny_model, unit

NAN = float("nan")


def test_own_time_is_the_last_checkpoint_before_the_row_on_one_scale() -> None:
    points = np.array([[1.0, NAN, NAN], [-1.0, 4.0, NAN], [1.0, -4.0, 10.0]])
    found = own_time(points)
    np.testing.assert_allclose(found, [1.0, 1.0, 1.0])


def test_what_follows_from_one_checkpoint() -> None:
    points = np.array([[2.0], [-4.0], [6.0]], np.float32)
    norms, losses = np.array([5.0, 7.0, 9.0]), np.array([2.0, 2.0, 3.0])
    found = derived_scores(points, norms, losses)
    assert {*found} == {"remaining", "signed_norm", "per_loss"}
    np.testing.assert_allclose(found["remaining"], [2.0, -2.0, 0.0])
    np.testing.assert_allclose(found["signed_norm"], [5.0, -7.0, 9.0])
    np.testing.assert_allclose(found["per_loss"], [1.0, -2.0, 2.0])


def test_what_follows_from_several_checkpoints() -> None:
    points = np.array([[2.0, NAN], [-2.0, 8.0], [2.0, 8.0]], np.float32)
    found = derived_scores(points, np.ones(3), np.ones(3))
    np.testing.assert_allclose(found["first_checkpoint"], [2, -2, 2])
    np.testing.assert_allclose(found["own_time"], [2, 2, 2])
    np.testing.assert_allclose(found["own_time_remaining"], [2, 1, 0])
    assert {*found} <= {*SCORES}


def test_adams_divisors_are_those_of_torch(tmp_path) -> None:
    """A step of Adam with momentum switched off is the gradient over them."""
    model = tiny_model()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.1, betas=(0.0, 0.9), eps=0.01, weight_decay=0.0
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        before = copy.deepcopy(model)
        for parameter in model.parameters():
            random = torch.randn(parameter.shape, generator=generator)
            parameter.grad = random.to(parameter)
        optimizer.step()
    save_checkpoint(tmp_path / "step3", model, optimizer, TrainerState(3, 1.0, {}))
    config = {"training": {"betas": [0.0, 0.9], "eps": 0.01}}
    held = dict(adam_steps(tmp_path / "step3", model, config).named_parameters())
    old = dict(before.named_parameters())
    for name, parameter in model.named_parameters():
        moved = (old[name] - parameter) / 0.1
        assert parameter.grad is not None
        wanted = parameter.grad / held[name]
        torch.testing.assert_close(moved, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("label", ["L1H2", "L0N3", "L1"])
def test_a_block_is_cut_from_the_weights_as_from_their_gradient(label) -> None:
    """The gradient of a weight, cut like the weight, is the block's own gradient."""
    model, rows, one = tiny_model(), random_rows(3), unit(label)
    [(_, flat)] = gradients_of(model, rows, [one], PassOptions(8))
    wanted = flat[one].sum(0)
    model.requires_grad_()
    logits = model(rows[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"
    )
    loss.backward()
    slopes = copy.deepcopy(model)
    for mine, theirs in zip(slopes.parameters(), model.parameters(), strict=True):
        assert theirs.grad is not None
        mine.data.copy_(theirs.grad)
    found = torch.cat([block_of(slopes, b).flatten() for b in one.blocks])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def arm(rows: str = "top", score: str = "mda", **more) -> dict:
    own = {} if score == "mda" else {"score": score}
    return {
        **{"action": "remove", "rows": rows, "fraction": 0.1, "target": "t"},
        **own,
        **more,
    }


def test_an_arm_is_compared_with_controls_of_its_own_score() -> None:
    arms = {
        "mda": arm(),
        "own": arm(score="own_time"),
        "matched": arm("matched"),
        "matched_own": arm("matched", "own_time"),
        "loss": arm("loss"),
        "loss_beside": arm("loss", disjoint=True),
        "random": {"action": "remove", "rows": "random", "fraction": 0.1},
    }
    assert controls_of("own", arms) == ["mda", "matched_own", "loss", "random"]
    assert controls_of("mda", arms) == ["matched", "loss", "loss_beside", "random"]


def test_an_arm_by_another_score_reads_that_and_the_loss() -> None:
    paths = fact_files(facts_of(arm(score="own_time")), "t")
    assert paths == ["influence/t.variants.h5", "influence/t.zarr"]
    assert fact_files(facts_of(arm(score="gradient_dot")), "t") == [
        "interventions/facts/t.gradients.h5",
        "influence/t.zarr",
    ]
    assert fact_files(facts_of(arm()), "t") == ["influence/t.zarr"]


def test_the_page_of_scores_has_every_score_its_formula_and_its_cost() -> None:
    page = Path(__file__).parents[1].joinpath("docs/scores.md").read_text("utf-8")
    for name, score in SCORES.items():
        formula = score.formula.replace("|", "\\|")
        assert f"| `{name}` | {formula} | {score.cost} |" in page


@pytest.mark.parametrize("score", THROUGH)
def test_a_bank_judges_the_scores_through_the_training_that_an_arm_names(score) -> None:
    config = copy.deepcopy(CONFIG)
    config["window"]["target"] = "induction"
    config["gradients"]["coordinates"] = "all"
    plain = judged_files(config)
    config["arms"]["other"] = {**config["arms"]["top"], "score": score}
    more = [file for file in judged_files(config) if file not in plain]
    assert more == fact_files([score], "induction")
    assert more[0].startswith("metagradient/induction.")
    config["arms"]["other"]["target"] = "copies"
    assert judged_files(config) == plain
    by_it = {**config["influence"], "method": score}
    assert more[0] in judged_files({**config, "influence": by_it})


def test_a_standard_error_is_no_score(tmp_path: Path) -> None:
    path, name = tmp_path / "facts.h5", SMOOTHED["orders"]
    scores, errors = np.array([1.0, 2.0]), np.array([0.1, 0.2])
    stamp = identity(name, CONFIG)
    write_facts(path, {name: scores}, stamp, {name: errors})
    found = read_facts(path, CONFIG)
    assert {*found} == {name}
    assert found[name].tolist() == [1.0, 2.0]
    with h5py.File(path) as file:
        assert file[f"standard_errors/{name}"][...].tolist() == [0.1, 0.2]
