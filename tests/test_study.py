"""Studies: what members show together, from results like those of real runs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headwater.errors import HeadwaterError
from headwater.evaluation.verdicts import FAILS, HOLDS, TOO_FEW
from headwater.heads.targets import NOT_FOUND, WindowChoice, write_choice
from headwater.identity import identity
from headwater.report import style
from headwater.study.figure import draw
from headwater.study.results import (
    GREW_NONE,
    JUDGED,
    NO_HEAD,
    Member,
    Study,
    ended_early,
    grew_none,
    read_member,
)
from headwater.study.summary import summary_text
from headwater.tables import write_table
from test_config_study import load
from test_report_example import ARMS, WINDOW, example

PLACES = {"study/verdicts.tsv": "every claim"}
SHAPES = ("remove_top", "remove_random", "remove_matched", "insert_top")


def delays(seed: int, matched: float) -> dict[str, list[tuple[float, float]]]:
    """Steps by which arms of a member delay the head: like each other, not equal."""
    own = 8 * np.sin(3.0 * seed)
    return {
        "remove_top": [(150 + own, 1.0)],
        "remove_random": [(20 - own, 1.0), (15 + own, 1.0)],
        "remove_matched": [(matched + 1.5 * own, 1.0)],
        "insert_top": [(-60 + own, 1.0)],
    }


def study(many: int = 5, matched: float = 40, others: tuple[Member, ...] = ()) -> Study:
    members = []
    for seed in range(many):
        effects = example(delays(seed, matched)).effects
        name = f"seed{seed}"
        members.append(Member(name, f"lab-{name}", JUDGED, "L1H3", WINDOW, effects))
    arms = {name: {"fraction": 0.1, "draws": 1, **ARMS[name]} for name in SHAPES}
    config = {
        "experiment": "lab",
        "arms": arms,
        "window": {"target": "induction"},
        "study": {"seeds": [*range(many)]},
    }
    return Study(config, [*members, *others])


def verdict(found: Study) -> dict[tuple[str, str], str]:
    areas = found.verdicts().query("metric == 'area'")
    return {(line.arm, line.control): line.verdict for line in areas.itertuples()}


def told(found: Study) -> str:
    return summary_text(found, found.verdicts(), PLACES)


def test_what_no_control_explains_holds() -> None:
    assert verdict(study()) == {
        ("remove_top", "baseline"): HOLDS,
        ("remove_top", "remove_random"): HOLDS,
        ("remove_top", "remove_matched"): HOLDS,
        ("insert_top", "baseline"): HOLDS,
    }
    text = " ".join(told(study()).split())
    assert re.search(
        r"Removing the top 10 % of rows: area -\d+ points \[-\d+, -\d+\] against the "
        r"baseline; -\d+ \[-\d+, -\d+\] against remove_random; -\d+ \[-\d+, -\d+\] "
        r"against remove_matched\. Holds\.",
        text,
    )
    assert "alone reaches" not in text


def test_a_control_that_explains_the_effect_is_named_as_loudly() -> None:
    found = study(matched=150)
    assert verdict(found)["remove_top", "remove_matched"] == FAILS
    assert verdict(found)["remove_top", "remove_random"] == HOLDS
    text = " ".join(told(found).split())
    assert "against remove_random: holds" in text
    assert "against remove_matched: does not hold" in text
    assert re.search(
        r"remove_matched alone reaches (99|100|101) % of the effect: nothing beyond "
        "such rows is shown",
        text,
    )


def test_four_seeds_are_not_enough_and_say_so() -> None:
    assert set(verdict(study(4)).values()) == {TOO_FEW}
    assert "Not enough seeds (4 of at least 5)." in " ".join(told(study(4)).split())


@pytest.mark.parametrize("head", ["L0H2", "L1H3"])  # that of the window, too
def test_a_control_unit_is_told_and_drawn_with_its_own_numbers(
    head: str, tmp_path: Path
) -> None:
    found = study()
    found.config["arms"]["remove_other"] = {
        **found.config["arms"]["remove_top"],
        "target": "previous_token",
    }
    for member in found.members:
        own = member.effects
        other = own[own["arm"] == "remove_top"].assign(arm="remove_other")
        own.loc[len(own)] = {**other.iloc[0], "area_ratio": 0.95}
        units = pd.concat([own[own["arm"] != "remove_other"], other])
        table = units.assign(target="previous_token", unit=head)
        object.__setattr__(member, "control_units", table)
    verdicts = found.verdicts()
    about = verdicts[verdicts["arm"] == "remove_other"]
    assert {*about["metric"]} == {"area", "half_way", "probe"}
    text = " ".join(told(found).split())
    assert re.search(
        rf"Removing the top 10 % of rows for previous_token: area of {head}, a control "
        r"unit, -\d+ points \[",
        text,
    )
    assert "against remove_other" in text  # the other head's rows are a control
    with style.applied():
        figure = draw(found, verdicts)
    panel = figure.axes[-1]
    assert panel.get_title("left").endswith(": the head of previous_token")
    shown = panel.collections[0].get_offsets()[:, 1]
    areas = [100 * one.areas("previous_token")["remove_other"] for one in found.members]
    assert shown.tolist() == pytest.approx(areas)


FAILED = Member("seed7", "lab-seed7", "its run failed (no space left)")
HEADLESS = Member("seed8", "lab-seed8", NO_HEAD, "L0H1", WINDOW)


def test_members_without_results_are_told_and_not_judged() -> None:
    found = study(others=(FAILED, HEADLESS))
    assert verdict(found) == verdict(study())
    text = " ".join(told(found).split())
    assert "a study of 7 seeds" in text
    assert "seed7 is not in the verdicts: its run failed (no space left)." in text
    assert f"seed8 is not in the verdicts: {NO_HEAD}." in text
    table = found.table().set_index("member")
    assert table.loc["seed8", "head"] == "L0H1"
    assert table["area_remove_top"].notna().tolist() == [True] * 5 + [False] * 2
    assert table.loc["seed0", "area_remove_random"] == pytest.approx(
        found.members[0].effects.query("arm == 'remove_random'")["area_ratio"].mean()
    )


def test_a_member_that_grew_no_head_is_a_result_and_no_failure() -> None:
    reason = f"select_window: {NOT_FOUND} by step 5,200, the last of the training"
    assert grew_none(reason)
    assert not grew_none("no space left")
    member = ended_early("seed9", {"experiment": "lab-seed9"}, reason)
    assert (member.state, member.judged) == (GREW_NONE, False)
    failed = ended_early("seed7", {"experiment": "lab-seed7"}, "no space left")
    assert failed.state == FAILED.state
    text = " ".join(told(study(others=(member,))).split())
    assert f"seed9 is not in the verdicts: {GREW_NONE}." in text


def test_a_study_of_which_nothing_is_left_is_told() -> None:
    found = study(0, others=(FAILED,))
    assert found.verdicts().empty
    assert "seed7 is not in the verdicts" in told(found)
    draw(found, found.verdicts())


@pytest.mark.parametrize("many", [1, 5, 12])
def test_the_summary_fits_a_terminal(many: int) -> None:
    lines = told(study(many)).splitlines()
    assert max(map(len, lines)) <= 88
    assert len(lines) <= 60
    for seed in range(many):
        assert any(f"seed{seed}" in line.split() for line in lines)


def test_the_figure_has_the_areas_of_every_member(tmp_path: Path) -> None:
    found = study()
    with style.applied():
        figure = draw(found, found.verdicts())
        style.save_figure(figure, tmp_path / "a.png", tmp_path / "a.svg")
    panel = figure.axes[0]
    assert [len(axes.lines) for axes in figure.axes] == [5, 5]
    drawn = np.array([line.get_ydata() for line in panel.lines])
    areas = [member.areas() for member in found.members]
    names = ["remove_top", "remove_random", "remove_matched", "baseline"]
    assert drawn == pytest.approx(100 * np.array([one[names] for one in areas]))
    labels = [label.get_text().split("\n") for label in panel.get_xticklabels()]
    assert [label[0] for label in labels] == names
    assert labels[0] == ["remove_top"]
    assert labels[1][3] == HOLDS
    assert (tmp_path / "a.svg").stat().st_size > 1000


# --- from folders -------------------------------------------------------------


def result(folder: Path, config: Mapping[str, Any], final: float = 0.77) -> None:
    """The files of a member's run that a study reads."""
    tables = example(delays(0, 40), final)
    results = folder / config["experiment"]
    name = config["window"]["target"]
    for path in ("heads/targets", "evaluation/baseline"):
        (results / path).mkdir(parents=True)
    for path, found in (
        (f"heads/targets/{name}.json", tables.choice.targets[name]),
        ("heads/window.json", WindowChoice(WINDOW, "given", [WINDOW.start])),
    ):
        write_choice(results / path, found, identity("window", config, [name]))
    baseline = tables.runs["baseline"]
    write_table(results / "evaluation/baseline/baseline.tsv", baseline)
    write_table(results / "evaluation/effects.tsv", tables.effects)
    units = tables.effects.iloc[:1].assign(target="previous_token", unit="L0H2")
    write_table(results / "evaluation/control_units.tsv", units)


def test_a_member_is_read_from_its_folder(tmp_path: Path) -> None:
    config = load({})
    result(tmp_path, config)
    member = read_member("seed0", config, tmp_path)
    assert (member.name, member.experiment, member.state) == ("seed0", "smoke", JUDGED)
    assert (member.head, member.window) == ("L1H3", WINDOW)
    expected = example(delays(0, 40)).effects
    pd.testing.assert_series_equal(member.effects["area_ratio"], expected["area_ratio"])
    assert member.areas("previous_token").to_dict() == {"baseline": 1.0}


def test_a_member_whose_head_did_not_rise_shows_nothing(tmp_path: Path) -> None:
    config = load({})
    result(tmp_path, config, final=0.05)
    member = read_member("seed0", config, tmp_path)
    assert (member.state, member.judged) == (NO_HEAD, False)
    assert member.effects.empty


def test_results_of_another_config_are_refused(tmp_path: Path) -> None:
    result(tmp_path, load({}))
    with pytest.raises(HeadwaterError, match="made under another config: seed is 0"):
        read_member("seed1", load({}, seed=1), tmp_path)


def test_the_file_of_a_member_is_a_config_with_all_text_quoted(tmp_path: Path) -> None:
    """As another reader of YAML would take `1e5`, `no` or a commit for no text."""
    from headwater.config import read_config_file

    config = load({})
    (tmp_path / "seed0.yaml").write_text(json.dumps(config, indent=1) + "\n")
    assert read_config_file(str(tmp_path / "seed0.yaml")) == config
