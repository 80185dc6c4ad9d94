"""Arms in the config: lists of fractions, files of rows, and what kinds take."""

from pathlib import Path
from typing import Any

import pytest

from headwater.config import load_config
from headwater.config.arms import arm_name, completed_arms
from headwater.identity import picked_identity
from headwater.interventions.runs import arm_runs
from headwater.interventions.scores import THROUGH
from headwater.plan.dag import count_jobs
from headwater.plan.experiment import NO_SOURCES, Experiment
from test_config import base, changed, problems

assert base  # a fixture

TOP = {"action": "remove", "rows": "top", "target": "induction"}


def load(folder: Path, *changes: tuple[str, Any]) -> dict[str, Any]:
    return load_config(changed(*changes), "c.yaml", folder)


@pytest.mark.parametrize(
    ("fraction", "name"),
    [
        (0.01, "x_1pct"),
        (0.1, "x_10pct"),
        (0.5, "x_50pct"),
        (0.025, "x_2_5pct"),
        (0.005, "x_0_5pct"),
        (1 / 3, "x_33_33333333333333pct"),
        (1e-7, "x_0_00001pct"),
    ],
)
def test_the_name_of_an_arm_of_several(fraction: float, name: str) -> None:
    assert arm_name("x", fraction) == name


def test_a_list_of_fractions_is_an_arm_for_each(base: Path) -> None:
    several = {**TOP, "fraction": [0.01, 0.1]}
    config = load(base, ("arms.curve", several))
    assert [*config["arms"]] == ["top", "random", "curve_1pct", "curve_10pct"]
    one = load(base, ("arms.curve_1pct", {**TOP, "fraction": 0.01}))
    assert config["arms"]["curve_1pct"] == one["arms"]["curve_1pct"]
    assert arm_runs(config)[-2:] == [("curve_1pct", 0), ("curve_10pct", 0)]
    found = [picked_identity(c, "curve_1pct", 0) for c in (config, one)]
    assert found[0] == found[1]  # so another fraction leaves this one's results


def test_a_plan_counts_every_fraction_and_what_arms_pick_by(base: Path) -> None:
    several = {**TOP, "rows": "matched", "fraction": [0.01, 0.1], "draws": 2}
    arms = {
        "curve": {**several, "match": ["length", "repetition"]},
        "dots": {**TOP, "rows": "gradient_dot", "fraction": 0.1},
        "norms": {**TOP, "rows": "gradient_norm", "fraction": 0.1},
    }
    plain, full = (
        load(base, ("arms", {"top": {**TOP, "fraction": 0.1}})),
        load(base, ("arms", arms)),
    )
    found = count_jobs(Experiment(plain, NO_SOURCES))
    assert found["interventions"] == {"build_arm": 1}
    counts = count_jobs(Experiment(full, NO_SOURCES))
    assert counts["interventions"] == {
        "measure_text": 1,
        "measure_gradients": 1,
        "build_arm": 6,
        "compare_rows": 1,
    }
    assert counts["retraining"]["retrain_arm"] == 6
    assert counts["evaluation"]["evaluate_arm"] == 5


def test_a_plan_counts_the_scores_that_arms_name(base: Path) -> None:
    arm = {**TOP, "fraction": 0.1}
    arms = {"mda": arm, **{s: {**arm, "score": s} for s in ("remaining", "adam")}}
    config = load(base, ("arms", arms))
    counts = count_jobs(Experiment(config, NO_SOURCES))
    assert counts["influence"]["score_variants"] == 1
    assert counts["interventions"] == {"build_arm": 3}
    del config["arms"]["remaining"], config["arms"]["adam"]
    counts = count_jobs(Experiment(config, NO_SOURCES))
    assert "score_variants" not in counts["influence"]


@pytest.mark.parametrize(
    ("fraction", "line"),
    [
        ([], "arms.curve.fraction: expected a number > 0 and < 1, or a list"),
        ([0.1, 0.1], "arms.curve.fraction: expected a number > 0 and < 1, or a list"),
        ([0.1, 1.0], "arms.curve.fraction[1]: expected a number > 0 and < 1, found"),
        ([0.1, "a"], "arms.curve.fraction[1]: expected a number, found"),
        ([0.1, 0.6], "arms.curve.fraction: 0.6 is more than 0.5; insert puts each"),
    ],
)
def test_a_wrong_list_of_fractions_is_one_line(fraction, line, base: Path) -> None:
    arm = {**TOP, "action": "insert", "fraction": fraction}
    [found] = problems(changed(("arms.curve", arm)), base)
    assert found.startswith(f"c.yaml: {line}")


def test_made_names_are_free_and_short_enough(base: Path) -> None:
    arm = {**TOP, "fraction": [0.01]}
    taken = changed(("arms.curve", arm), ("arms.curve_1pct", {**TOP, "fraction": 0.2}))
    assert problems(taken, base) == [
        "c.yaml: arms.curve.fraction: makes an arm curve_1pct, which stands there; "
        "rename one"
    ]
    [line] = problems(changed((f"arms.{'x' * 64}", arm)), base)
    assert "of more than 64 characters; shorten the name of the arm" in line


MATCH = "expected a list of domain, loss, repetition, length, time, each once"


@pytest.mark.parametrize(
    ("arm", "line"),
    [
        ({**TOP, "match": ["loss"]}, "match: top rows are not matched; remove"),
        ({**TOP, "strata": ["loss"]}, "strata: top rows have no strata; remove"),
        ({**TOP, "file": "rows.jsonl"}, "file: only rows of the kind file have a"),
        ({**TOP, "rows": "strata"}, "strata: missing; expected a list of facts"),
        ({**TOP, "rows": "matched", "match": ["los"]}, "match[0]: expected domain or"),
        ({**TOP, "rows": "matched", "match": []}, f"match: {MATCH}"),
        ({**TOP, "rows": "matched", "match": ["loss", "loss"]}, f"match: {MATCH}"),
        ({**TOP, "rows": "matched", "match": "loss"}, f"match: {MATCH}"),
        ({"rows": "file"}, "file: missing; rows of the kind file need a table"),
        ({"rows": "file", "file": "none.tsv"}, "file: none.tsv: "),
        ({"rows": "file", "file": "text"}, "file: text: "),
        (
            {"rows": "subset", "strata": ["loss"]},
            "strata: subset rows have no target, at whose checkpoints a loss is "
            "measured; remove loss",
        ),
        ({"rows": "repetition", "disjoint": True}, "disjoint: repetition rows are"),
        ({"rows": "random", "order": 1}, "order: random rows come in the window's"),
        ({"rows": "subset", "order": 0}, "order: "),
        (
            {"rows": "subset", "action": "repeat"},
            "action: expected remove, since scores are judged by runs without random "
            "subsets, found repeat",
        ),
    ],
)
def test_a_kind_takes_its_own_keys_only(arm, line: str, base: Path) -> None:
    raw = changed(("arms.own", {"action": "remove", "fraction": 0.1, **arm}))
    [found] = problems(raw, base)
    assert found.startswith(f"c.yaml: arms.own.{line}")


@pytest.mark.parametrize("kind", ["gradient_norm", "gradient_dot"])
def test_gradients_must_be_stored_whole(kind: str, base: Path) -> None:
    arm = ("arms.own", {**TOP, "rows": kind, "fraction": 0.1})
    assert load(base, arm)["arms"]["own"]["rows"] == kind
    wanted = f"c.yaml: arms.own.rows: {kind} rows are found in whole gradient stores; "
    for change, text in (
        (("influence", {"method": "exact"}), "set influence.method: projected"),
        (("gradients", {"coordinates": 64}), "set gradients.coordinates: all"),
    ):
        assert problems(changed(arm, change), base) == [wanted + text]


def test_a_metagradient_needs_no_store_but_every_update(base: Path) -> None:
    arm = ("arms.own", {**TOP, "score": "metagradient", "fraction": 0.1})
    exact = ("influence", {"method": "exact"})
    defaults = {"metric": "mean", "space_gb": 2.0, "segment": 100, "draws": 4}
    assert load(base, arm, exact)["metagradient"] == defaults
    for score in THROUGH:
        arm = ("arms.own", {**TOP, "score": score, "fraction": 0.1})
        assert load(base, arm, exact)["arms"]["own"]["score"] == score
        [line] = problems(changed(arm, ("training.precision", "fp16")), base)
        assert line.startswith("c.yaml: arms.own.score: fp16 leaves out updates")


def test_a_path_of_weights_needs_a_divisor_that_they_do_not_change(base: Path) -> None:
    arm = ("arms.own", {**TOP, "score": "metagradient_path", "fraction": 0.1})
    kept = ("retraining", {"divisor": "kept"})
    [line] = problems(changed(arm, kept), base)
    assert line == (
        "c.yaml: arms.own.score: a weight of all rows is divided out again by "
        "retraining.divisor: kept; set it to fixed, or take another score"
    )
    [line] = problems(changed(kept, ("influence.method", "metagradient_path")), base)
    assert line.startswith("c.yaml: influence.method: a weight of all rows is divided")
    orders = ("arms.own", {**TOP, "score": "metagradient_orders", "fraction": 0.1})
    load(base, orders, kept)


def test_where_it_is_the_method_arms_are_ranked_by_it_unless_they_say_otherwise(
    base: Path,
) -> None:
    for name in THROUGH:
        top = load(base, ("influence", {"method": name}))["arms"]["top"]
        assert top["score"] == name
    method = ("influence", {"method": "metagradient"})
    paper = ("arms.own", {**TOP, "score": "mda", "fraction": 0.1})
    masked = {"action": "mask", "rows": "top", "target": "induction", "fraction": 0.1}
    chance = {"action": "remove", "rows": "random", "fraction": 0.1}
    others = (("arms.masked", masked), ("arms.chance", chance))
    arms = load(base, method, paper, *others)["arms"]
    scores = {name: arm.get("score") for name, arm in arms.items()}
    assert scores["top"] == "metagradient"
    assert [scores[name] for name in ("own", "masked", "chance")] == ["mda", None, None]
    [line] = problems(changed(method, ("training.precision", "fp16")), base)
    assert line.startswith("c.yaml: influence.method: fp16 leaves out updates")


def test_an_edited_file_is_another_arm(base: Path) -> None:
    own = {"action": "remove", "rows": "file", "file": "mine.tsv", "fraction": 0.1}
    (base / "mine.tsv").write_text("row\n8\n")
    before = load(base, ("arms.own", own))
    assert len(before["arms"]["own"]["sha256"]) == 64
    assert before == load(base, ("arms.own", own))
    (base / "mine.tsv").write_text("row\n9\n")
    after = load(base, ("arms.own", own))
    found = [picked_identity(c, "own", 0) for c in (before, after)]
    assert found[0] != found[1]
    [line] = problems(changed(("arms.top.sha256", "0" * 64)), base)
    assert line.startswith("c.yaml: arms.top.sha256: unknown key")


def test_other_arms_stay_as_they_are() -> None:
    arms = {"top": {**TOP, "fraction": 0.1, "draws": 1}}
    assert completed_arms(arms, Path(), "projected") == arms
