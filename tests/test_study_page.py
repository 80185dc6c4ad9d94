"""The page of a study: its members side by side, its verdicts as they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater.evaluation.verdicts import HOLDS, TOO_FEW
from headwater.interventions.runs import BASELINE
from headwater.study.page import study_page
from headwater.study.results import Study
from headwater.tables import write_table
from page_example import report_of
from test_report_example import example
from test_study import FAILED, HEADLESS, delays, study


def on_disk(found: Study, results: Path) -> Study:
    """The study with the tables of its members' runs."""
    members = []
    for seed, member in enumerate(found.members):
        if member.judged:
            folder = results / member.experiment / "evaluation"
            for name, table in example(delays(seed, 40)).runs.items():
                arm = name if name == BASELINE else name.rpartition("-seed")[0]
                (folder / arm).mkdir(parents=True, exist_ok=True)
                write_table(folder / arm / f"{name}.tsv", table)
            member = replace(member, score="prefix_matching")
        members.append(member)
    return Study(found.config, members)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def found(results: Path) -> Study:
    return on_disk(study(others=(FAILED, HEADLESS)), results)


@pytest.fixture(scope="module")
def page(found: Study, results: Path) -> str:
    return study_page(found, found.verdicts(), results)


def test_chips_are_the_verdicts_of_the_study(
    page: str, found: Study, results: Path
) -> None:
    report = report_of(page)
    verdicts = found.verdicts().query("metric == 'area'")
    wanted = {(v.arm, v.control): v.verdict for v in verdicts.itertuples()}
    judged = [chip for chip in report["chips"] if chip["verdict"] != "no control"]
    assert {(c["arm"], c["control"]): c["verdict"] for c in judged} == wanted
    assert HOLDS in wanted.values()
    assert '<a class="verdict yes" href="#effects">' in page
    four = study(4)
    told = report_of(study_page(on_disk(four, results), four.verdicts(), results))
    assert {c["verdict"] for c in told["chips"]} == {TOO_FEW, "no control"}


def test_every_member_has_its_curves_and_a_link_to_its_page(
    page: str, found: Study, results: Path
) -> None:
    report = report_of(page)
    names = [arm["name"] for arm in report["arms"]]
    members = report["study"]["members"]
    assert [one["name"] for one in members] == [one.name for one in found.members]
    for one in members[:5]:
        assert f'<a href="../../{one["experiment"]}/report/index.html">' in page
        assert [run["arm"] for run in one["runs"]] == [0, 1, 2, 2, 3, 4]
    runs = example(delays(3, 40)).runs
    for line in members[3]["runs"]:
        name = names[line["arm"]]
        table = runs[name if name == BASELINE else f"{name}-seed{line['draw']}"]
        own = table[(table["metric"] == "prefix_matching") & (table["name"] == "L1H3")]
        own = own.set_index("step").loc[line["steps"], "value"].astype(float)
        np.testing.assert_allclose(line["values"]["head"], own, rtol=1e-4)
        assert line["steps"][0] == 1500


def test_members_that_do_not_count_are_named(page: str) -> None:
    assert "seed7 is not in the verdicts: its run failed (no space left)." in page
    members = report_of(page)["study"]["members"]
    assert [one["runs"] for one in members[5:]] == [[], []]
    assert [one["judged"] for one in members[5:]] == [False, False]


def test_a_study_that_nothing_can_be_judged_of_says_so() -> None:
    nothing = replace(study(0), members=[FAILED, HEADLESS])
    page = study_page(nothing, nothing.verdicts(), Path())
    assert "there is no verdict" in page
    assert '<section id="effects"' not in page
