"""Studies opened by the library: members that are here, and what they say together."""

from pathlib import Path

import pandas as pd
import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.tables import read_table, write_table
from small_run import SmallRun


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A study of three members, one of whose results are elsewhere."""
    folder = tmp_path_factory.mktemp("study") / "results"
    for seed, name in enumerate(("small", "small-seed1")):
        SmallRun(folder / name, seed)
    members = pd.DataFrame(
        {
            "member": ["seed0", "seed1", "seed2", "seed3"],
            "experiment": ["small", "small-seed1", "small-seed2", "../small"],
            "state": ["judged", "its run failed (x)", "judged", "judged"],
        }
    )
    write_table(folder / "small/study/members.tsv", members)
    claims = pd.DataFrame({"claim": ["a", "b"], "verdict": ["holds", "does not hold"]})
    write_table(folder / "small/study/verdicts.tsv", claims)
    return folder


@pytest.mark.parametrize("place", ["small", "small/study"])
def test_a_study_is_found_in_its_folder_or_its_experiments(results, place):
    study = headwater.open_study(results / place)
    assert study.verdicts()["verdict"].tolist() == ["holds", "does not hold"]
    assert len(study.members()) == 4
    assert "seed0, seed1, seed2, seed3" in repr(study)


def test_members_are_runs_and_those_elsewhere_are_left_out(results):
    study = headwater.open_study(results / "small")
    runs = study.runs
    assert list(runs) == ["seed0", "seed1"]  # and nothing above the folder
    assert not runs["seed0"].scores().equals(runs["seed1"].scores())


def test_effects_are_of_the_members_that_were_judged(results):
    found = headwater.open_study(results / "small").effects()
    wanted = read_table(results / "small/evaluation/effects.tsv")
    assert set(found["member"]) == {"seed0"}
    pd.testing.assert_frame_equal(found.drop(columns="member"), wanted)


def test_what_is_no_study_is_told_with_the_command_that_makes_one(results):
    with pytest.raises(HeadwaterError, match=r"no study .* --cores all study`"):
        headwater.open_study(results / "small-seed1")
    with pytest.raises(HeadwaterError, match=r"a study; open it with headwater\.open_"):
        headwater.open(results / "small/study")
