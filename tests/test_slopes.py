"""Weights lowered in proportion to scores: how much, of which rows, what is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from headwater.errors import HeadwaterError
from headwater.evaluation.verdicts import claims, controls_of
from headwater.interventions.arms import ACTIONS, rows_label
from headwater.interventions.facts import fact_files
from headwater.interventions.kinds import KINDS, facts_of, is_compared, scored
from headwater.interventions.slopes import SLOPES, reweighted_rows, taken
from headwater.library.selection import of_arm
from headwater.report import words
from headwater.report.claims import doing
from test_config import base, changed, problems
from test_config_arms import load

assert base  # a fixture

ROWS = 400
STREAM = np.random.default_rng(0)
NUMBERS = {"score": STREAM.normal(size=ROWS), "loss": STREAM.gamma(20, size=ROWS)}
SCORE, LOSS = NUMBERS["score"], NUMBERS["loss"]
TOP = {"action": "reweight", "rows": "top", "target": "induction", "fraction": 0.1}


def arm(kind: str, weight: float = 40, seed: int = 0, **numbers: np.ndarray):
    generator = np.random.default_rng(seed)
    return reweighted_rows(kind, weight, NUMBERS | numbers, generator)


def slow_taken(scores: np.ndarray, weight: float) -> np.ndarray:
    """By search: what `taken` solves for."""
    positive = np.maximum(scores, 0)

    def lost(k: float) -> np.ndarray:
        return np.minimum(1, k * positive)

    # From k = 1 / the lowest positive score on, all of them lose all they have.
    most = 1 / positive[positive > 0].min()
    return lost(brentq(lambda k: lost(k).sum() - weight, 0, 2 * most, xtol=1e-300))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    scores=st.lists(st.integers(-5, 50), min_size=2, max_size=30),
    share=st.floats(0.01, 0.95),
    scale=st.sampled_from([1e-12, 1.0, 1e9]),
)
def test_all_that_is_wanted_is_taken_in_proportion(scores, share, scale) -> None:
    values, count = scale * np.array(scores, float), sum(score > 0 for score in scores)
    if not count:
        return
    found = taken(values, share * count)
    np.testing.assert_allclose(found.sum(), share * count, rtol=1e-12)
    assert found.max() <= 1
    assert (found[values <= 0] == 0).all()
    np.testing.assert_allclose(found, slow_taken(values, share * count), rtol=1e-9)


def test_rows_that_would_lose_more_than_they_have_lose_all() -> None:
    np.testing.assert_allclose(
        taken(np.array([8.0, 1, 0, -9, 1]), 1.5), [1, 0.25, 0, 0, 0.25]
    )
    np.testing.assert_allclose(taken(np.array([3.0, 1, -1]), 1), [0.75, 0.25, 0])
    np.testing.assert_allclose(taken(np.array([0.1, 7.0, 1.0]), 3), 1)


@pytest.mark.parametrize(("kind", "sign"), [("top", 1), ("bottom", -1)])
def test_the_weights_fall_with_the_score(kind: str, sign: int) -> None:
    own = arm(kind)
    assert own.rows.tolist() == [*range(ROWS)]
    assert own.weights.dtype == np.float32
    assert (own.weights >= 0).all()
    np.testing.assert_allclose((1 - own.weights.astype(float)).sum(), 40, atol=1e-4)
    ordered = own.weights[np.argsort(sign * SCORE)]
    assert (np.diff(ordered) <= 0).all()
    assert own.picked.tolist() == np.flatnonzero(sign * SCORE > 0).tolist()
    assert (arm(kind, seed=1).weights == own.weights).all()  # nothing by chance


def test_controls_have_the_same_weights_on_other_rows() -> None:
    top, loss = arm("top"), arm("loss")
    draws = [arm("random", seed=seed) for seed in (0, 0, 1)]
    for own in (loss, *draws):
        assert sorted(own.weights) == sorted(top.weights)
        assert own.picked.tolist() == np.flatnonzero(own.weights < 1).tolist()
    assert (draws[0].weights == draws[1].weights).all()
    assert (draws[0].weights != draws[2].weights).any()
    assert abs(np.corrcoef(draws[0].weights, SCORE)[0, 1]) < 0.15
    assert (np.diff(loss.weights[np.argsort(LOSS)]) <= 0).all()
    tied = [arm("loss", seed=seed, loss=np.ones(ROWS)).weights for seed in (0, 1)]
    assert (tied[0] != tied[1]).any()


@pytest.mark.parametrize(
    ("scores", "weight", "said"),
    [
        ([1.0, 2, -1, 0], 3, "weight of 3 rows is to be taken, of 2 whose .* lower"),
        ([-1.0, 0], 1, "weight of 1 rows is to be taken, of 0 whose .* lower"),
        ([1.0, 2], 0, "weight of 0 rows is to be taken, of 2 whose .* raise"),
    ],
)
def test_too_little_weight_is_one_line(scores, weight, said) -> None:
    with pytest.raises(HeadwaterError, match=said) as caught:
        taken(np.array(scores), weight)
    assert "\n" not in str(caught.value)


def test_the_kinds_that_can_be_reweighted_have_words_colours_and_files() -> None:
    colours = {name for name, kind in KINDS.items() if "reweight" in kind.colours}
    assert {*SLOPES} == colours
    assert ACTIONS["reweight"].change is None
    for kind in SLOPES:
        own = {**TOP, "rows": kind}
        assert scored(own)
        assert not is_compared(own)
        assert "{share}" in rows_label(own)
        assert fact_files(facts_of(own), "induction") == ["influence/induction.zarr"]
        other = fact_files(facts_of({**own, "score": "own_time"}), "induction")
        assert "influence/induction.variants.h5" in other
    assert doing(TOP) == "Reweighting by 10 % in proportion to score"
    arms = {"a": {**TOP, "draws": 1}, "b": {**TOP, "rows": "random", "draws": 1}}
    arms["c"] = {**arms["b"], "score": "own_time"}
    assert words.arm_labels(arms, {}, "induction") == {
        "a": "reweight by 10 % in proportion to score",
        "b": "reweight by 10 % at random",
        "c": "reweight by 10 % at random by own_time",
    }


def test_it_should_hinder_and_is_compared_with_its_controls_alone() -> None:
    arms = {kind: {**TOP, "rows": kind} for kind in SLOPES}
    arms["less"] = {**TOP, "rows": "random", "fraction": 0.05}
    arms["cut"] = {"action": "remove", "rows": "random", "fraction": 0.1}
    assert controls_of("top", arms) == ["random", "loss"]
    assert controls_of("bottom", arms) == ["random"]
    signs = {c.arm: c.sign for c in claims(arms, "induction") if c.metric == "area"}
    assert signs == {"top": -1, "bottom": 1}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"target": None}, "target: missing; expected the name of a target"),
        ({"rows": "random", "target": None}, "target: missing; expected the name of"),
        (
            {"rows": "matched"},
            "action: expected remove or insert or repeat or swap",
        ),
        ({"rows": "loss", "disjoint": True}, "disjoint: weights are taken from all"),
        ({"draws": 2}, "draws: expected 1, since the top rows are always the same"),
        ({"score": "own_tim"}, 'score: no score "own_tim"; did you mean'),
        ({"from": [0, 0.5]}, "from: only swap moves rows; remove this key"),
    ],
)
def test_what_is_wrong_is_one_line(change, line: str, base: Path) -> None:
    own = {key: v for key, v in {**TOP, **change}.items() if v is not None}
    [found] = problems(changed(("arms.own", own)), base)
    assert found.startswith(f"c.yaml: arms.own.{line}")


def test_where_the_metagradient_is_the_method_weights_follow_it(base: Path) -> None:
    method = ("influence", {"method": "metagradient"})
    arms = [(f"arms.{kind}", {**TOP, "rows": kind}) for kind in ("top", "random")]
    found = load(base, method, *arms)["arms"]
    assert {found[kind]["score"] for kind in ("top", "random")} == {"metagradient"}


def test_no_list_of_rows_can_tell_such_an_arm() -> None:
    run = SimpleNamespace(arms={"slope": {**TOP, "draws": 1}})
    with pytest.raises(HeadwaterError, match="but for the weight that they lose; exp"):
        of_arm(run, "slope", None)
