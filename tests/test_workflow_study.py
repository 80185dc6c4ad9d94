"""A study with real Snakemake: two seeds of the smoke experiment, side by side."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from clone import contents, make_clone, run

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_clone(tmp_path_factory.mktemp("study"))
    config = yaml.safe_load((folder / "config/smoke.yaml").read_text())
    config["study"] = {"seeds": [0, 3]}
    other = config["arms"]["remove_top"] | {"target": "previous_token"}
    config["arms"]["remove_other"] = other
    text = yaml.safe_dump(config, sort_keys=False)  # arms in their order
    (folder / "config/study.yaml").write_text(text)
    return folder


def study(clone: Path) -> subprocess.CompletedProcess:
    return run(clone, "study", config="config/study.yaml")


def test_a_config_without_a_study_is_told_what_to_write(clone: Path) -> None:
    done = run(clone, "study")
    assert done.returncode == 1
    wanted = "study: this config has none; name its members, such as study: {seeds: [0"
    assert wanted in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.long
def test_a_study_makes_its_members_and_makes_nothing_twice(clone: Path) -> None:
    done = study(clone)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " seed3  done" in done.stdout
    folder = clone / "results/smoke/study"
    assert (folder / "summary.md").read_text() in done.stdout
    table = pd.read_csv(folder / "members.tsv", sep="\t").set_index("member")
    assert table["experiment"].to_dict() == {"seed0": "smoke", "seed3": "smoke-seed3"}
    made = contents(clone, "smoke-seed3")
    assert "report/summary.md" in made
    results = clone / "results/smoke-seed3"
    units = pd.read_csv(results / "evaluation/control_units.tsv", sep="\t")
    assert set(units["target"]) == {"previous_token"}
    effects = pd.read_csv(results / "evaluation/effects.tsv", sep="\t")
    assert units["arm"].tolist() == effects["arm"].tolist()
    claims = pd.read_csv(results / "report/verdicts.tsv", sep="\t")
    own = claims[claims["arm"] == "remove_other"]
    assert set(own["unit"]) == set(units["unit"])
    assert {"baseline", "remove_top"} <= set(own["control"])

    again = study(clone)
    assert again.returncode == 0, again.stdout[-4000:]
    assert "train_baseline" not in again.stdout
    assert contents(clone, "smoke-seed3") == made

    # The member that is the config itself is an ordinary run.
    own = run(clone, "-n", config="config/study.yaml")
    assert "Nothing to be done" in own.stdout, own.stdout[-4000:]


@pytest.mark.long
def test_a_member_that_fails_loses_no_other(clone: Path) -> None:
    damaged = clone / "results/smoke-seed3/evaluation/effects.tsv"
    damaged.write_text("arm\tdraw\n")
    (clone / "results/smoke-seed3/report/summary.md").unlink()
    done = study(clone)
    assert done.returncode == 1
    assert "seed3  FAILED: " in done.stdout
    assert "1 of 2 members failed: seed3; the study is of the others" in done.stdout
    text = (clone / "results/smoke/study/summary.md").read_text()
    assert "seed3 is not in the verdicts: its run failed" in " ".join(text.split())
