"""Scores combined over members: banks with a known answer, and nothing that leaks."""

import numpy as np
import pandas as pd
import pytest

from headwater.evaluation.bank import RESPONSES, Bank, lacking
from headwater.evaluation.fitted import (
    FITTED,
    Sums,
    combined,
    fitted,
    fitted_lds,
    ridge,
    why_not,
)
from headwater.evaluation.lds import ALL, correlation, groups, lds_table, sums_table
from headwater.evaluation.league import LDS, Judged, league_table, page

ROWS = 400
WEIGHTS = {"mda": 1.0, "loss": -1.0, "lexical": 0.7, "useless": 0.0}
ARMS = {"ten": (24, 0.1, 0), "half": (12, 0.5, 0), "again": (6, 0.1, 1)}
NO_EFFECTS = pd.DataFrame({"arm": ["baseline"], "area_ratio": [1.0]})
SUBSET = {"action": "remove", "rows": "subset", "draws": 24, "fraction": 0.1}


def member(seed: int, weight: float = 1.0, noise: float = 1.0) -> tuple[Bank, dict]:
    """A bank whose runs change by a sum of scores, in a unit of its own, and chance.

    Args:
        weight: of what the scores do.
    """
    stream = np.random.default_rng(seed)
    # Scores of one member are on other scales than those of another.
    scores = {name: stream.normal(size=ROWS) for name in WEIGHTS}
    truth = sum(WEIGHTS[name] * values for name, values in scores.items())
    scores = {name: 10.0 ** (seed % 5) * v for name, v in scores.items()}
    lines, picked = [], []
    for arm, (runs, fraction, order) in ARMS.items():
        for draw in range(runs):
            own = np.random.default_rng([seed, draw, round(100 * fraction)])
            rows = own.choice(ROWS, round(fraction * ROWS), replace=False)
            picked.append(np.sort(rows))
            lines.append((f"{arm}-seed{draw}", arm, draw, fraction, order))
    runs = pd.DataFrame(lines, columns=["run", "arm", "draw", "fraction", "order"])
    for name, sign in RESPONSES.items():
        sums = np.array([-truth[rows].sum() for rows in picked])
        chance = noise * stream.normal(size=len(sums)) * sums.std()
        runs[name] = sign * (weight * sums + chance) / (1 + seed)
    return Bank(runs, lacking(picked, ROWS), 0, ["prose"] * ROWS), scores


def judged(seed: int, **options: float) -> Judged:
    bank, scores = member(seed, **options)
    sums = Sums(bank.runs, sums_table(scores, bank))
    return Judged({"ten": SUBSET}, lds_table(scores, bank), NO_EFFECTS, sums)


def banks(count: int = 4, **options: float) -> dict[str, Sums]:
    made = (member(seed, **options) for seed in range(count))
    return {
        f"seed{seed}": Sums(bank.runs, sums_table(scores, bank))
        for seed, (bank, scores) in enumerate(made)
    }


def test_a_combination_predicts_a_member_better_than_any_score_alone() -> None:
    members = {f"seed{seed}": judged(seed, noise=0.3) for seed in range(4)}
    table = league_table(members, "t")
    for asked in ("ten", "half", ALL):
        own = table[(table["asked"] == asked) & (table["response"] == "probe")]
        values = {
            line.score: np.array(line.values.split(), float)
            for line in own.assign(values=own["values"]).itertuples()
        }
        assert {*values} == {*WEIGHTS, FITTED}
        for name in WEIGHTS:
            assert (values[FITTED] > values[name]).all(), (asked, name)
    [line] = own[own["score"] == FITTED].itertuples()
    assert (line.measure, line.n) == (LDS, 4)
    assert line.mean > 0.8
    assert line.low < line.mean < line.high
    told = "\n".join(page(table, "probe"))
    assert "| fitted |  |" not in told
    assert "- `fitted`: all scores, weighted to predict the other members' runs" in told


def test_nothing_measured_in_a_member_changes_what_is_predicted_of_it() -> None:
    before = banks()
    for response in ("probe", "icl"):
        whole = fitted(before, "seed1", response)
        other, same = dict(before), dict(before)
        runs = before["seed1"].runs
        turned = {name: runs[name].to_numpy()[::-1] ** 3 for name in RESPONSES}
        same["seed1"] = Sums(runs.assign(**turned), before["seed1"].sums)
        np.testing.assert_array_equal(fitted(same, "seed1", response), whole)
        runs = before["seed2"].runs
        other["seed2"] = Sums(
            runs.assign(**{name: -runs[name] for name in RESPONSES}),
            before["seed2"].sums,
        )
        assert (fitted(other, "seed1", response) != whole).any()


def test_of_chance_alone_nothing_is_predicted() -> None:
    found = []
    for first in range(0, 60, 3):
        own = {}
        for seed in range(first, first + 3):
            bank, scores = member(seed, weight=0.0)
            own[str(seed)] = Sums(bank.runs, sums_table(scores, bank))
        for name, bank in own.items():
            parts = fitted(own, name, "probe"), bank.runs["probe"].to_numpy()
            ten = bank.runs["arm"].to_numpy()[:24]
            found.append(correlation(*(part[:24] for part in parts), ten))
    assert len(found) == 60
    assert abs(np.mean(found)) < 4 * 0.21 / np.sqrt(60)  # 24 runs by chance: sd .21
    assert np.std(found) > 0.1


def test_runs_in_another_order_are_judged_and_not_fitted_on() -> None:
    known = banks()
    runs = known["seed0"].runs
    reordered = {"probe": np.where(runs["order"] == 0, runs["probe"], 1e3)}
    changed = known | {"seed0": Sums(runs.assign(**reordered), known["seed0"].sums)}
    lines = {(arm, what): value for arm, what, value in fitted_lds(known, "seed1")}
    assert ("again", "probe") in lines
    one, other = (fitted(own, "seed1", "probe") for own in (known, changed))
    np.testing.assert_array_equal(one, other)


def test_a_combination_is_judged_as_every_score_is() -> None:
    bank, scores = member(1)
    table, sums = lds_table(scores, bank), sums_table(scores, bank)
    lines = table.set_index(["score", "arm", "response"])["lds"]
    for arm, runs in groups(bank.runs):
        arms = bank.runs["arm"].to_numpy()[runs]
        for name in scores:
            parts = sums[name].to_numpy()[runs], -bank.runs["icl"].to_numpy()[runs]
            assert correlation(*parts, arms) == pytest.approx(lines[name, arm, "icl"])


def slow_ridge(known: np.ndarray, measured: np.ndarray, penalties) -> np.ndarray:
    """Every fit by itself: for each penalty one without each run."""

    def fit(lines: np.ndarray, penalty: float) -> np.ndarray:
        own, size = known[lines], known.shape[1]
        matrix = own.T @ own + penalty * np.eye(size)
        return np.linalg.solve(matrix, own.T @ measured[lines])

    every, errors = np.arange(len(measured)), []
    for penalty in penalties:
        missed = [
            measured[run] - known[run] @ fit(np.delete(every, run), penalty)
            for run in every
        ]
        errors.append(np.mean(np.square(missed)))
    return fit(every, penalties[int(np.argmin(errors))])


@pytest.mark.parametrize("noise", [0.1, 3.0, 100.0])
@pytest.mark.parametrize("runs", [4, 30])
def test_the_penalty_is_that_of_a_fit_without_each_run(runs: int, noise: float) -> None:
    stream = np.random.default_rng(runs)
    known = stream.normal(size=(runs, 6))
    known[:, 5] = known[:, 4]  # two scores that are one
    measured = known @ np.arange(6.0) + noise * stream.normal(size=runs)
    expected = slow_ridge(known, measured, np.geomspace(1e-3, 1e3, 13) * runs)
    np.testing.assert_allclose(ridge(known, measured), expected, rtol=1e-6, atol=1e-12)


def test_only_scores_of_all_members_are_combined_and_no_random_numbers() -> None:
    known = banks(2)
    some = known["seed1"].sums.drop(columns="loss").assign(random=1.0, other=2.0)
    known["seed1"] = Sums(known["seed1"].runs, some)
    known["seed0"].sums["random"] = 0.5
    known["seed0"].sums.loc[3, "lexical"] = np.nan
    assert combined(known) == ["mda", "useless"]
    some = known["seed1"].sums[["run", "other"]]
    known["seed1"] = Sums(known["seed1"].runs, some)
    assert why_not(known) == "fitted: no score stands in the banks of all members"


def test_a_constant_score_and_a_change_that_some_lack_do_no_harm() -> None:
    known = banks(3)
    known["seed1"].sums["useless"] = 7.0
    known["seed2"].runs.loc[2, "icl"] = np.nan
    found = list(fitted_lds(known, "seed1"))
    assert {what for _, what, _ in found} == {*RESPONSES} - {"icl"}
    assert np.isfinite([value for _, _, value in found]).all()


def test_one_member_has_no_combination_and_is_told_why() -> None:
    alone = {"only": judged(0)}
    assert FITTED not in {*league_table(alone, "t")["score"]}
    told = why_not({"only": alone["only"].sums})
    assert "of two at least that have bank/sums.tsv there are 1" in told
    assert "\n" not in told
    old = Judged({}, judged(1).lds, NO_EFFECTS)  # judged before there were sums
    assert FITTED not in {*league_table({**alone, "old": old}, "t")["score"]}
    assert why_not(banks(2)) == ""
