"""Arms that make a bank: what they are, what they lack, and that they claim nothing."""

import numpy as np
import pytest

from headwater.evaluation.verdicts import claims, controls_of
from headwater.identity import picked_identity
from headwater.interventions.arms import arm_rows, reordered
from headwater.interventions.subsets import (
    bank_runs,
    claimed,
    drawn_by,
    judged_files,
)
from headwater.plan.dag import count_jobs
from headwater.plan.experiment import Experiment
from test_plan import TEXT, ready

REMOVE = {"action": "remove", "fraction": 0.1, "draws": 1}
ARMS = {
    "top": {**REMOVE, "rows": "top", "target": "induction"},
    "any": {**REMOVE, "rows": "random"},
    "small": {**REMOVE, "rows": "subset", "strata": ["domain"], "draws": 3},
    "again": {**REMOVE, "rows": "subset", "strata": ["domain"], "order": 7},
}
CONFIG = ready() | {"arms": ARMS}


def test_a_bank_is_all_draws_of_subsets_and_claims_nothing() -> None:
    runs = [("small", 0), ("small", 1), ("small", 2), ("again", 0)]
    assert bank_runs(CONFIG) == runs
    assert [*claimed(ARMS)] == ["top", "any"]
    assert controls_of("top", ARMS) == ["any"]
    assert {claim.arm for claim in claims(ARMS, "induction")} == {"top"}


def test_arms_that_differ_in_the_order_lack_the_same_rows() -> None:
    assert drawn_by("small", ARMS["small"]) == drawn_by("again", ARMS["again"])
    for change in ({"fraction": 0.2}, {"strata": ["domain", "time"]}):
        assert drawn_by("small", ARMS["small"]) != drawn_by(
            "small", ARMS["small"] | change
        )
    assert drawn_by("any", ARMS["any"]) == ("any",)
    small, again = (
        picked_identity(CONFIG, arm, 0)["settings"]["arms"][arm]
        for arm in ("small", "again")
    )
    assert again == {**small, "order": 7}


def test_another_order_trains_the_same_rows_with_the_same_weights() -> None:
    plan = arm_rows("remove", np.array([1, 5]), 12, np.random.default_rng(0))
    found = reordered(plan, np.random.default_rng(3))
    assert found.rows.tolist() != plan.rows.tolist()
    assert sorted(found.rows) == [*range(12)]
    assert [found.weights[found.rows == row] for row in (1, 5)] == [0, 0]
    assert found.weights.sum() == 10
    np.testing.assert_array_equal(found.picked, plan.picked)
    same = reordered(plan, np.random.default_rng(3))
    np.testing.assert_array_equal(found.rows, same.rows)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, {"text", "lexical", "gradients", "variants"}),
        ({"influence": {"method": "exact"}}, {"text", "lexical"}),
        ({"gradients": {"coordinates": 64}}, {"text", "lexical"}),
    ],
)
def test_what_is_judged_is_what_the_stores_can_tell(changes, ends) -> None:
    config = ready("bank.yaml", **changes)
    files = judged_files(config)
    assert len(files) == len(ends)
    assert {path.split("/")[-1].split(".")[-2] for path in files} == ends
    counts = count_jobs(Experiment(config, TEXT))
    assert counts["evaluation"]["measure_lds"] == 1
    assert counts["influence"].get("score_variants", 0) == ("variants" in ends)
    assert "report" not in counts or "judge_arms" not in counts["report"]
