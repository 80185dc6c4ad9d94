"""What arms do to other heads, losses and the place of the head, on known numbers."""

import math

import pandas as pd
import pytest

from headwater.evaluation.metrics import COLUMNS
from headwater.evaluation.specificity import specificity

STEPS = [100, 150, 250]
SCORE = "prefix_matching"


def run(scores: dict[str, list[float]], **finals: float) -> pd.DataFrame:
    """A run's metrics: curves of heads, and values of the last step of groups."""
    lines = [
        (step, SCORE, "head", head, value)
        for head, curve in scores.items()
        for step, value in zip(STEPS, curve, strict=True)
    ]
    lines += [(50, SCORE, "head", head, 99.0) for head in scores]  # before the window
    lines += [(step, "previous_token", "head", "L0H0", 0.5) for step in STEPS]
    for name, value in finals.items():
        kind, _, metric = name.partition("_")
        label = {"group": "natural", "domain": "prose", "head": "L1H0"}[kind]
        lines += [(step, metric, kind, label, value * step / 250) for step in STEPS]
    return pd.DataFrame(lines, columns=COLUMNS)


TABLES = {
    "baseline": run(
        {"L1H0": [0.1, 0.5, 0.9], "L1H1": [0.1, 0.1, 0.4]},
        group_loss=2.0,
        domain_loss=3.0,
        domain_loss_copyable=1.0,
        group_loss_rest=2.5,
        head_ablation=0.8,
    ),
    "top-seed0": run(
        {"L1H0": [0.1, 0.2, 0.3], "L1H1": [0.1, 0.3, 0.6]},
        group_loss=2.1,
        domain_loss=3.5,
        domain_loss_copyable=1.5,
        group_loss_rest=2.5,
        head_ablation=0.2,
    ),
    "random-seed0": run({"L1H0": [0.1, 0.5, 0.8], "L1H1": [0.1, 0.1, 0.4]}),
    "random-seed1": run({"L1H0": [0.1, 0.5, 1.0], "L1H1": [0.1, 0.1, 0.3]}),
}


def found() -> pd.DataFrame:
    return specificity(TABLES, ["top", "random"], SCORE, STEPS)


def change(what: str, kind: str, name: str, of: str = "top-seed0") -> list[float]:
    table = found()
    same = (table["what"] == what) & (table["kind"] == kind) & (table["name"] == name)
    (line,) = table[same & (table["run"] == of)].itertuples()
    return [line.baseline, line.value, line.change]


def test_every_head_is_compared_at_the_end_and_in_the_mean() -> None:
    assert change("final", "head", "L1H0") == pytest.approx([0.9, 0.3, -0.6])
    assert change("final", "head", "L1H1") == pytest.approx([0.4, 0.6, 0.2])
    base = (50 * 0.3 + 100 * 0.7) / 150  # by steps, and nothing from before the window
    arm = (50 * 0.15 + 100 * 0.25) / 150
    assert change("mean", "head", "L1H0") == pytest.approx([base, arm, arm - base])
    heads = found().query("kind == 'head' and what in ['final', 'mean']")
    assert set(heads["name"]) == {"L1H0", "L1H1"}
    assert len(heads) == 2 * 2 * 3


def test_losses_and_ablation_are_those_of_the_windows_end() -> None:
    assert change("loss", "domain", "prose") == pytest.approx([3.0, 3.5, 0.5])
    assert change("loss", "group", "natural") == pytest.approx([2.0, 2.1, 0.1])
    assert change("loss_copyable", "domain", "prose") == pytest.approx([1.0, 1.5, 0.5])
    assert change("loss_rest", "group", "natural") == pytest.approx([2.5, 2.5, 0.0])
    assert change("ablation", "head", "L1H0") == pytest.approx([0.8, 0.2, -0.6])
    assert found().query("run == 'random-seed0' and what == 'loss'").empty


def test_the_head_that_took_the_place_is_named() -> None:
    assert change("highest", "head", "L1H1") == pytest.approx([0.4, 0.6, 0.2])
    assert change("highest", "head", "L1H0", "random-seed1")[2] == pytest.approx(0.1)


def test_a_step_that_a_run_lacks_is_no_comparison() -> None:
    with pytest.raises(KeyError):
        specificity(TABLES, ["top"], SCORE, [100, 175])


def test_names_that_look_like_numbers_stay_apart() -> None:
    extra = pd.DataFrame(
        [
            (s, "loss", "domain", n, v)
            for s in STEPS
            for n, v in (("1", 1.0), ("01", 2))
        ],
        columns=COLUMNS,
    )
    tables = {name: pd.concat([table, extra]) for name, table in TABLES.items()}
    table = specificity(tables, ["top"], SCORE, STEPS)
    named = table[table["name"].isin(["1", "01"])].set_index("name")["value"]
    assert named.to_dict() == {"1": 1.0, "01": 2.0}
    assert not any(math.isnan(value) for value in table["change"])
