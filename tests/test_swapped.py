"""Arms that move rows of one part of the window into another."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headwater.evaluation.verdicts import claims, controls_of
from headwater.interventions.arms import arm_rows, pick_rows
from headwater.interventions.facts import RowFacts
from headwater.interventions.places import places_of, taken_from
from headwater.report import words
from test_config import base, changed, problems

assert base  # a fixture

TOTAL = 400
EARLIER = {
    **{"action": "swap", "rows": "top", "target": "induction", "fraction": 0.1},
    **{"from": [0.5, 1.0], "to": [0.0, 0.25]},
}
SCORES = np.random.default_rng(0).normal(size=TOTAL)


class Window(SimpleNamespace):
    """As much of a window as places need."""

    def __len__(self) -> int:
        return TOTAL


def swapped(rows: str, seed: int = 0):
    arm = {**EARLIER, "rows": rows}
    facts = RowFacts(np.zeros(TOTAL, int), {"score": SCORES})
    inside, stream = taken_from(arm, TOTAL), np.random.default_rng(seed)
    own = pick_rows(rows, 40, facts.only(inside), stream) + inside.start
    return arm_rows("swap", own, TOTAL, stream, np.arange(100))


def test_the_top_rows_of_one_part_change_places_with_rows_of_the_other():
    arm = swapped("top")
    late = 200 + np.sort(np.argsort(-SCORES[200:])[:40])
    assert arm.picked.tolist() == late.tolist()
    assert sorted(arm.rows) == [*range(TOTAL)]  # every row is trained once
    assert (arm.weights == 1).all()
    changed = np.flatnonzero(arm.rows != np.arange(TOTAL))
    early = changed[changed < 100]
    assert len(early) == 40
    assert changed[changed >= 100].tolist() == late.tolist()
    assert sorted(arm.rows[early]) == late.tolist()
    assert sorted(arm.rows[late]) == early.tolist()
    np.testing.assert_array_equal(arm.rows[arm.rows], np.arange(TOTAL))


def test_random_rows_are_of_the_same_part_and_differ_by_draw():
    one, other = swapped("random"), swapped("random", seed=1)
    for arm in (one, other):
        assert (arm.picked >= 200).all()
        assert len(arm.picked) == 40
    assert one.picked.tolist() != other.picked.tolist()


def test_places_are_those_of_the_part():
    found = places_of(EARLIER, Window(start=0, batch_size=8), 40)
    assert found is not None
    assert found.tolist() == [*range(100)]
    assert taken_from(EARLIER, TOTAL) == range(200, 400)
    assert taken_from({}, TOTAL) == range(TOTAL)


def test_what_is_moved_earlier_is_predicted_to_help_and_later_to_hinder():
    later = {**EARLIER, "from": [0.0, 0.25], "to": [0.5, 1.0]}
    random = {key: v for key, v in EARLIER.items() if key != "target"}
    arms = {
        "earlier": EARLIER,
        "later": later,
        "chance": {**random, "rows": "random"},
        "late_chance": {**later, "rows": "random"},
    }
    signs = {c.arm: c.sign for c in claims(arms, "induction") if c.metric == "area"}
    assert signs == {"earlier": 1, "later": -1}
    assert controls_of("earlier", arms) == ["chance"]
    assert controls_of("later", arms) == ["late_chance"]
    one = {"earlier": {**EARLIER, "draws": 1}}
    labels = words.arm_labels(one, {}, "induction")
    assert labels["earlier"] == (
        "move the top 10 % of rows from 50 to 100 % of the window into 0 to 25 %"
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"from": None}, "from: missing; expected two shares of the window, such as"),
        ({"to": [0.4, 0.6]}, "to: lies partly in from; give parts that do not meet"),
        ({"to": [0.4, 0.1]}, "to: expected the smaller share first, found [0.4, 0.1]"),
        ({"to": [0.0, 0.05]}, "fraction: 0.1 of the window's rows do not fit into to"),
        ({"to": [0.0]}, "to: expected two shares of the window, such as [0, 0.5]"),
        ({"to": [0, 2]}, "to[1]: "),
        (
            {"rows": "lexical"},
            "action: expected remove or insert or repeat for lexical",
        ),
        (
            {"action": "remove", "to": None},
            "from: only swap moves rows; remove this key, or set action: swap",
        ),
    ],
)
def test_what_is_wrong_is_one_line(change, line: str, base: Path) -> None:
    arm = {key: v for key, v in {**EARLIER, **change}.items() if v is not None}
    [found] = problems(changed(("arms.own", arm)), base)
    assert found.startswith(f"c.yaml: arms.own.{line}")
