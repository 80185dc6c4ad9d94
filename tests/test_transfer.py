"""Motifs across the members of a study: who waits for whom, table, words and page."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headwater.config.study import members
from headwater.study.page import study_page
from headwater.study.results import JUDGED, Member, Study
from headwater.study.summary import summary_text
from headwater.study.transfer import (
    matrix,
    motif_members,
    transfer,
    without_motifs,
)
from test_config_study import load
from test_report_example import WINDOW, example

MOTIFS = {"action": "generate", "rows": "motifs", "target": "induction"}
ARMS: dict[str, dict[str, Any]] = {
    "of_small": {**MOTIFS, "motifs_of": "lab-small"},
    "of_large": {**MOTIFS, "motifs_of": "lab-large"},
    "of_file": {**MOTIFS, "motifs": "mine.json"},
    "of_others": {**MOTIFS, "motifs_of": "elsewhere"},
    "shuffled": {**MOTIFS, "rows": "shuffled", "motifs_of": "lab-small"},
    "chance": {"action": "insert", "rows": "random"},
}
AREAS = {
    "small": [1.30, 1.10, 1.5, 1.5, 1.05, 1.01],
    "large": [1.40, 1.20, 1.5, 1.5, 1.02, 1.04],
}


def study(*names: str) -> Study:
    found = []
    for name in names:
        effects = example(
            {arm: [(10.0, 1.0)] for arm in ("remove_top", "remove_random")}
        ).effects
        lines = pd.DataFrame({"arm": [*ARMS], "area_ratio": AREAS[name]})
        baseline = effects[effects["arm"] == "baseline"]
        effects = pd.concat([baseline, lines], ignore_index=True)
        place = f"lab-{name}", JUDGED, "L1H3", WINDOW, effects
        found.append(Member(name, *place, score="prefix_matching"))
    arms = {name: {"fraction": 0.1, "draws": 1, **arm} for name, arm in ARMS.items()}
    config = {
        "experiment": "lab",
        "arms": arms,
        "window": {"target": "induction"},
        "study": {"models": {name: {} for name in names}},
    }
    return Study(config, found)


def test_a_line_for_every_member_and_motifs_of_a_member() -> None:
    table = transfer(study("small", "large"))
    pairs = table.set_index(["motifs_of", "trained"])
    assert {*pairs.index} == {
        *(("small", "small"), ("large", "small")),
        *(("small", "large"), ("large", "large")),
    }
    assert pairs.loc[("small", "large"), "area"] == 1.40
    assert pairs.loc[("small", "large"), "control"] == "chance"
    assert pairs.loc[("large", "small"), "control"] == "shuffled"
    assert pairs.loc[("large", "small"), "control_area"] == 1.05


def test_the_matrix_has_motifs_in_lines_and_trainings_in_columns() -> None:
    assert matrix(transfer(study("small", "large"))) == [
        ("motifs of", "small", "large"),
        ("small", "130 (105)", "140 (104)"),
        ("large", "110 (105)", "120 (104)"),
    ]
    assert matrix(transfer(study())) == []


def test_arms_without_motifs_of_another_are_of_the_members_own() -> None:
    found = study("small")
    found.config["arms"]["of_small"].pop("motifs_of")
    table = transfer(found)
    assert table["motifs_of"].tolist() == ["small"]


def test_summary_and_page_show_it_and_only_where_it_is(tmp_path: Path) -> None:
    from headwater.tables import write_table

    found = study("small", "large")
    names = ["step", "metric", "kind", "name", "value"]
    for member in found.members:
        for arm in ("baseline", *ARMS):
            folder = tmp_path / member.experiment / "evaluation" / arm
            folder.mkdir(parents=True)
            run = arm if arm == "baseline" else f"{arm}-seed0"
            line = (1500, "prefix_matching", "head", "L1H3", 0.3)
            write_table(folder / f"{run}.tsv", pd.DataFrame([line], columns=names))
    none = found.verdicts().iloc[:0]
    text = summary_text(found, none, {"a": "b"})
    assert "    small      130 (105)  140 (104)\n" in text
    page = study_page(found, none, tmp_path)
    assert "<td>130 (105)</td><td>140 (104)</td>" in page
    assert '<a href="#transfer">' in page
    for name in ("of_small", "of_large"):
        del found.config["arms"][name]
    assert "motifs of" not in summary_text(found, none, {"a": "b"})
    assert 'id="transfer"' not in study_page(found, none, tmp_path)


@pytest.mark.parametrize("of", ["smoke-small", "elsewhere"])
def test_motifs_are_made_first_where_others_wait_for_them(of: str) -> None:
    arm = {"fraction": 0.1, **MOTIFS, "motifs_of": of}
    models = {"small": {"model": {"hidden_size": 16}}, "large": {}}
    config = load({"models": models}, arms={"arm": arm})
    wanted = ["small"] if of == "smoke-small" else []
    assert motif_members(members(config)) == wanted


def test_without_a_members_motifs_the_study_is_of_the_other_arms() -> None:
    found = study("small", "large")
    kept = without_motifs(found.config, {"lab-small"})
    assert [*kept["arms"]] == ["of_large", "of_file", "of_others", "chance"]
    assert [*found.config["arms"]] == [*ARMS]
    assert without_motifs(found.config, set()) == found.config
    table = transfer(Study(kept, found.members))
    assert {*table["motifs_of"]} == {"large"}


def test_every_word_of_the_matrix_is_escaped(tmp_path: Path) -> None:
    table = transfer(study("small"))
    table["motifs_of"] = "<img src=x>"
    [_, row] = matrix(table)
    assert row[0] == "<img src=x>"
    template = Path("scripts/headwater/report/templates/study.html").read_text("utf-8")
    part = template[template.index('id="transfer"') :]
    cells = re.findall(r"\{\{ cell[^}]*\}\}", part[: part.index("</section>")])
    assert cells == ["{{ cell | plain }}"] * 2
