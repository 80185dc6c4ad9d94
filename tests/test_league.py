"""Scores side by side over the banks of several members."""

import numpy as np
import pandas as pd

from headwater.evaluation.league import AREA, LDS, Judged, league_table, page

ARMS = {
    "top": {"action": "remove", "rows": "top", "target": "t", "fraction": 0.1},
    "own": {
        **{"action": "remove", "rows": "top", "target": "t", "fraction": 0.1},
        "score": "own_time",
    },
    "within": {
        **{"action": "remove", "rows": "strata", "target": "t", "fraction": 0.1},
        "strata": ["domain", "loss"],
    },
    "other": {"action": "remove", "rows": "top", "target": "u", "fraction": 0.1},
    "loss": {"action": "remove", "rows": "loss", "target": "t", "fraction": 0.1},
    "ten": {"action": "remove", "rows": "subset", "fraction": 0.1},
}


def judged(shift: float) -> Judged:
    lds = pd.DataFrame(
        {
            "score": ["mda", "own_time", "mda"],
            "response": ["probe", "probe", "icl"],
            "arm": "ten",
            "lds": [0.2 + shift, 0.4 + shift, np.nan],
        }
    )
    effects = pd.DataFrame(
        {
            "arm": ["baseline", "top", "own", "within", "other", "loss", "ten", "ten"],
            "area_ratio": [1, 0.75 + shift, 0.6 + shift, 0.8, 0.1, 0.9, 0.5, 0.7],
        }
    )
    return Judged(ARMS, lds, effects)


def test_a_line_has_the_mean_over_members_and_students_interval() -> None:
    table = league_table({"a": judged(0.0), "b": judged(0.1)}, "t")
    keys = ["score", "measure", "asked", "response"]
    line = table.set_index(keys).loc[("own_time", AREA, "remove 10 %", "")]
    assert line["n"] == 2
    np.testing.assert_allclose(line["mean"], 0.65)
    half = 12.706 * 0.1 / np.sqrt(2) / np.sqrt(2)
    np.testing.assert_allclose(line["high"] - line["mean"], half, rtol=1e-3)
    assert line["values"] == "0.6 0.7"
    lds = table.set_index(keys).loc[("mda", LDS, "ten", "probe")]
    np.testing.assert_allclose(lds["mean"], 0.25)


def test_no_interval_passes_what_a_value_can_be() -> None:
    table = league_table({"a": judged(0.0), "b": judged(0.5)}, "t")
    lines = table.set_index(["score", "measure", "response"])
    assert [*lines.loc[("mda", LDS, "probe"), ["low", "high"]]] == [-1, 1]
    assert lines.loc[("own_time", AREA, ""), "low"] == 0


def test_arms_of_other_targets_and_of_the_bank_have_no_area() -> None:
    table = league_table({"a": judged(0.0)}, "t")
    areas = table[table["measure"] == AREA]
    asked = {tuple(pair) for pair in areas[["score", "asked"]].to_numpy()}
    assert asked == {
        ("mda", "remove 10 %"),
        ("own_time", "remove 10 %"),
        ("mda", "remove 10 % within domain, loss"),
        ("loss", "remove 10 %"),
    }
    assert table["low"].isna().all()


def test_the_page_has_the_best_first() -> None:
    lines = list(page(league_table({"a": judged(0.0)}, "t"), "probe"))
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert names[2:] == ["own_time", "mda", "loss"]
    assert "| own_time | 60 % |" in "\n".join(lines)
    assert any(line.startswith("- `own_time`: mda at the last") for line in lines)


def test_a_score_that_predicts_nothing_has_a_dash() -> None:
    lines = list(page(league_table({"a": judged(0.0)}, "t"), "icl"))
    assert lines[0].endswith("| LDS, ten |")
    assert next(line for line in lines if line.startswith("| mda |")).endswith("| - |")
