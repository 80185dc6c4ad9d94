"""Verdicts: known answers, how often chance holds, and which claims are made."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from headwater.evaluation import verdicts as v
from headwater.evaluation.verdicts import FAILS, FEWEST, HOLDS, LEVEL, TOO_FEW

ARMS = {
    "top": {"action": "remove", "rows": "top", "target": "t", "fraction": 0.1},
    "random": {"action": "remove", "rows": "random", "fraction": 0.1},
    "same": {"action": "remove", "rows": "matched", "target": "t", "fraction": 0.1},
    "more": {"action": "insert", "rows": "top", "target": "t", "fraction": 0.1},
}


def member(area: dict[str, list[float]], column: str = "area_ratio") -> pd.DataFrame:
    """The effects of a member: one column is measured, in every draw of every arm."""
    lines = [(arm, value) for arm, draws in area.items() for value in draws]
    table = pd.DataFrame(lines, columns=["arm", column])
    columns = {name for name, _ in v.METRICS.values()} - {column}
    return table.assign(**dict.fromkeys(columns, np.nan))


def verdicts(arms: dict, effects: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return v.verdicts(arms, [v.Unit("t", "L2H2", effects)])


def study(tops: list[float], randoms: list[float]) -> dict[str, pd.DataFrame]:
    return {
        f"seed{seed}": member({"baseline": [1.0], "top": [top], "random": [other]})
        for seed, (top, other) in enumerate(zip(tops, randoms, strict=True))
    }


# --- the statistics -----------------------------------------------------------


def test_t_is_students_and_the_interval_is_its() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, (7, 6))
    known = stats.ttest_1samp(values, 0, axis=1, alternative="greater")
    assert v.t_test(values) == pytest.approx(known.pvalue)
    claim = v.Claim("area", "top", "random", 1)
    line = v._line(claim, values[0], "L1H0")
    interval = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert (line["low"], line["high"]) == pytest.approx(tuple(interval))
    assert line["effect"] == pytest.approx(values[0].mean())
    assert v.t_test(np.zeros((2, 5))).tolist() == [1, 1]
    assert v.t_test(np.ones((2, 1))).tolist() == [1, 1]


def slow_sign_test(values: np.ndarray) -> float:
    flips = [np.mean(values * signs) for signs in product((1, -1), repeat=len(values))]
    return float(np.mean([flip >= values.mean() - 1e-12 for flip in flips]))


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_sign_test_counts_all_flips(n: int) -> None:
    values = np.random.default_rng(n).normal(0.5, 1, (9, n))
    assert v.sign_test(values) == pytest.approx([slow_sign_test(row) for row in values])
    assert v.sign_test(np.abs(values)) == pytest.approx(0.5**n)
    assert v.sign_test(np.array([[0.3], [-0.3]])).tolist() == [0.5, 1.0]


def slow_holm(p: list[float], share: list[float]) -> list[float]:
    """By the book: the largest weighted p of the steps up to each claim's."""
    found, largest, open_ = dict[int, float](), 0.0, set(range(len(p)))
    while open_:
        i = min(open_, key=lambda claim: p[claim] / share[claim])
        largest = max(largest, p[i] / share[i] * sum(share[claim] for claim in open_))
        found[i] = min(1.0, largest)
        open_.remove(i)
    return [found[i] for i in range(len(p))]


def test_holm_is_as_in_the_book() -> None:
    equal = np.full(4, 1 / 4)
    assert v.holm(np.array([0.01, 0.04, 0.03, 0.005]), equal) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    many = np.random.default_rng(0).random((20, 7)) ** 2
    for share in (np.full(7, 1 / 7), v.shares(np.arange(7) < 2)):
        slow = [slow_holm(list(p), list(share)) for p in many]
        assert v.holm(many, share) == pytest.approx(np.array(slow))
    assert len(v.holm(np.array([]), np.array([]))) == 0


def test_half_of_the_level_goes_to_the_heads_score() -> None:
    primary = np.array([True, False, False, True, False])
    assert v.shares(primary) == pytest.approx([1 / 4, 1 / 6, 1 / 6, 1 / 4, 1 / 6])
    for alike in (np.ones(4, bool), np.zeros(4, bool)):
        assert v.shares(alike) == pytest.approx([1 / 4] * 4)
    assert len(v.shares(np.array([], bool))) == 0


def test_the_fewest_members_are_those_that_can_show_something() -> None:
    assert 0.5**FEWEST <= LEVEL < 0.5 ** (FEWEST - 1)
    assert FEWEST == 5


# --- chance -------------------------------------------------------------------

DRAWS = {  # shapes of one run's noise: an arm and its control are two like draws
    "normal": lambda r, size: r.normal(size=size),
    "heavy tails": lambda r, size: r.standard_t(2, size=size),
    "skewed": lambda r, size: r.exponential(size=size),
    "flat": lambda r, size: r.random(size=size),
    "one run in three fails": lambda r, size: (
        (r.random(size) < 0.33) + 0.05 * r.normal(size=size)
    ),
}
STUDIES, CLAIMS = 1000, 24
SHARE = v.shares(np.arange(CLAIMS) < 4)  # so many are about the head's score


def judged(arm: np.ndarray, control: np.ndarray) -> np.ndarray:
    """The verdicts of studies, from [studies, claims, members] of either."""
    signed = arm - control
    corrected = v.holm(v.t_test(signed), SHARE[: signed.shape[1]])
    n = np.full(corrected.shape, signed.shape[-1])
    return v.decide(corrected, v.sign_test(signed), n)


@pytest.mark.parametrize("shape", DRAWS)
@pytest.mark.parametrize("shared", [False, True])
def test_exchangeable_arms_hold_no_oftener_than_the_level(shape, shared) -> None:
    """Of any claim of a study; `shared`: all claims have the arm, not the control."""
    random = np.random.default_rng(14)
    size = (STUDIES, CLAIMS, 5)
    arm = DRAWS[shape](random, (STUDIES, 1, 5) if shared else size)
    found = judged(arm, DRAWS[shape](random, size))
    rate = np.mean((found == HOLDS).any(axis=1))
    most = stats.binom.ppf(0.999, STUDIES, LEVEL) / STUDIES
    print(f"{shape}, shared {shared}: {rate:.3f}")
    assert rate <= most


def test_a_true_effect_is_found_among_many_claims_of_chance() -> None:
    """15 points of area with a spread of 2, as arms of natural text have shown."""
    random = np.random.default_rng(3)
    arm, control = random.normal(0, 2, (2, STUDIES, CLAIMS, 5))
    arm[:, 0] += 15
    found = judged(arm, control)
    assert np.mean(found[:, 0] == HOLDS) > 0.95
    assert np.mean((found[:, 1:] == HOLDS).any(axis=1)) < 0.08
    arm[:, 0] -= 15
    arm[:, -1] += 15  # of a metric that has to share
    assert np.mean(judged(arm, control)[:, -1] == HOLDS) > 0.9
    arm[:, -1] += -15 + 1
    assert np.mean(judged(arm, control)[:, -1] == HOLDS) < 0.05


def test_four_members_hold_nothing_whatever_they_show() -> None:
    arm = np.full((1, 3, 4), 100.0) + np.random.default_rng(0).normal(size=(1, 3, 4))
    assert (judged(arm, np.zeros((1, 3, 4))) == TOO_FEW).all()


# --- claims -------------------------------------------------------------------


def test_every_judged_arm_is_compared_with_baseline_and_like_controls() -> None:
    found = list(v.claims(ARMS, "t"))
    pairs = {(claim.arm, claim.control) for claim in found}
    assert pairs == {
        ("top", "baseline"),
        ("top", "random"),
        ("top", "same"),
        ("more", "baseline"),
    }
    assert len(found) == 4 * len(v.METRICS)
    signs = {claim.metric: claim.sign for claim in found if claim.arm == "top"}
    assert signs["area"] == signs["probe"] == signs["natural_copy_gain"] == -1
    assert signs["half_way"] == signs["icl"] == signs["copyable_loss"] == 1
    inserted = {claim.metric: claim.sign for claim in found if claim.arm == "more"}
    assert inserted == {metric: -sign for metric, sign in signs.items()}


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("random", {"fraction": 0.2}),
        ("random", {"action": "repeat"}),
        ("same", {"target": "other"}),
        ("random", {"rows": "bottom", "target": "t"}),
    ],
)
def test_other_arms_are_no_controls(arm: str, change: dict) -> None:
    arms = ARMS | {arm: ARMS[arm] | change}
    assert arm not in v.controls_of("top", arms)


def test_the_same_rows_for_another_head_are_a_control_and_no_claim() -> None:
    arms = ARMS | {"other": ARMS["top"] | {"target": "another"}}
    assert v.controls_of("top", arms) == ["random", "same", "other"]
    assert not any(claim.arm == "other" for claim in v.claims(arms, "t"))


def test_what_explains_rows_that_help_explains_none_that_hinder() -> None:
    arms = ARMS | {"top": ARMS["top"] | {"rows": "bottom"}}
    assert v.controls_of("top", arms) == ["random"]


def test_rows_that_hinder_are_predicted_the_other_way() -> None:
    arms = {"low": ARMS["top"] | {"rows": "bottom"}}
    (area,) = (claim for claim in v.claims(arms, "t") if claim.metric == "area")
    assert area.sign == 1


def test_rows_ranked_for_another_head_claim_nothing_about_this_one() -> None:
    assert not list(v.claims({"top": ARMS["top"]}, "other"))


def test_differences_are_paired_and_a_controls_draws_are_their_mean() -> None:
    members = {
        "seed0": member({"baseline": [1.0], "top": [0.5], "random": [0.9, 0.7]}),
        "seed1": member({"baseline": [1.0], "top": [0.6], "random": [0.9, np.nan]}),
        "seed2": member({"baseline": [1.0], "top": [0.2]}),
    }
    claim = v.Claim("area", "top", "random", -1)
    assert v.differences(claim, members) == pytest.approx([-0.3])
    claim = v.Claim("area", "top", "baseline", -1)
    assert v.differences(claim, members) == pytest.approx([-0.5, -0.4, -0.8])


def test_a_study_of_a_clear_effect_holds_against_what_does_not_explain_it() -> None:
    tops, noise = [0.78, 0.79, 0.786, 0.80, 0.77], [0.0, 0.01, -0.01, 0.02, 0.0]
    randoms = [0.95 + shift for shift in noise]
    table = verdicts(ARMS, study(tops, randoms))
    assert table["metric"].unique().tolist() == ["area"]  # nothing else was measured
    found = table.set_index("control")
    assert found["verdict"].to_dict() == {"baseline": HOLDS, "random": HOLDS}
    line = found.loc["random"]
    assert line["claim"] == "area of L2H2 lower in top than in random"
    assert (line["n"], line["predicted"]) == (5, "lower")
    assert line["effect"] == pytest.approx(np.mean(np.subtract(tops, randoms)))
    assert line["low"] < line["effect"] < line["high"] < 0
    assert line["p_exact"] == 1 / 32
    assert line["directional_effectiveness"] == HOLDS
    assert line["selection_advantage"] == HOLDS
    assert pd.isna(found.loc["baseline", "selection_advantage"])


def test_a_control_that_does_as_much_leaves_no_advantage() -> None:
    tops = [0.78, 0.79, 0.786, 0.80, 0.77]
    table = verdicts(ARMS, study(tops, tops[::-1]))
    line = table.set_index("control").loc["random"]
    assert line["directional_effectiveness"] == HOLDS
    assert line["selection_advantage"] == line["verdict"] == FAILS


def test_an_effect_the_other_way_does_not_hold() -> None:
    tops = [1.2, 1.21, 1.19, 1.22, 1.2]
    table = verdicts(ARMS, study(tops, [1.0] * 5))
    assert set(table["verdict"]) == {FAILS}
    assert (table["p"] > 0.99).all()


def test_one_run_has_numbers_and_no_verdict() -> None:
    table = verdicts(ARMS, study([0.5], [0.9]))
    assert set(table["verdict"]) == {TOO_FEW}
    assert table["effect"].tolist() == pytest.approx([-0.5, -0.4])
    assert table[["low", "high"]].isna().all(axis=None)
    assert table["n"].tolist() == [1, 1]


def test_without_judged_arms_the_table_is_empty() -> None:
    table = verdicts({"random": ARMS["random"]}, study([0.5], [0.9]))
    assert table.empty
    assert "verdict" in table


def test_a_control_unit_has_claims_of_its_own_about_its_own_head() -> None:
    """Rows ranked for one head move it, and those ranked for the other do not."""
    arms = {name: ARMS[name] for name in ("top", "random")}
    arms["other"] = ARMS["top"] | {"target": "u"}
    on_t, on_u = {}, {}
    for seed, noise in enumerate([0.0, 0.01, -0.01, 0.02, -0.015]):
        name, whole = f"seed{seed}", {"baseline": [1.0], "random": [0.97]}
        on_t[name] = member(whole | {"top": [0.7 + noise], "other": [0.93 - noise]})
        table = member(whole | {"top": [0.94 - noise], "other": [0.6 + noise]})
        on_u[name] = table.assign(target="u", unit="L1H1")
    both = v.units(v.Unit("t", "L2H2", on_t), on_u)
    found = v.verdicts(arms, both).set_index(["unit", "arm", "control"])
    assert set(found.index) == {
        *(("L2H2", "top", control) for control in ("baseline", "random", "other")),
        *(("L1H1", "other", control) for control in ("baseline", "random", "top")),
    }
    assert set(found["verdict"]) == {HOLDS}
    assert found.loc[("L1H1", "other", "top"), "effect"] == pytest.approx(
        0.6 - 0.94 + 2 * np.mean([0.0, 0.01, -0.01, 0.02, -0.015])
    )


def test_claims_of_a_control_unit_are_about_its_own_metrics() -> None:
    own, table = (
        v.Unit("u", "L2H2", {}),
        pd.DataFrame({"target": ["t"], "unit": ["L0H1"]}),
    )
    _, unit = v.units(own, {"a": table})
    found = {claim.metric for claim in v.claims(ARMS, unit.target, unit.metrics)}
    assert found == {"area", "half_way", "probe"}
    assert [*v.units(own, {"a": table.iloc[:0]})] == [own]
