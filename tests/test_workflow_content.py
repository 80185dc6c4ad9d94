"""Arms depend on their rows by content: scores made again train nothing by that."""

import re
import shutil
from pathlib import Path

import pytest

from clone import REPOSITORY, contents, jobs, run
from headwater import seals
from test_workflow import edited_config, planned, smoke_config

pytestmark = pytest.mark.workflow

OF_RUNS = re.compile(r"<results>/(evaluation/\{arm|retraining/)|arm_checkpoints")
# Inputs that are waited for until it is known which arms train again.
WAITS = re.compile(r"<results>/interventions/\{run\}\.h5|built\(|evaluated_rows")


@pytest.fixture(scope="module")
def clone(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished clone; its tests build upon each other."""
    clone = tmp_path_factory.mktemp("content") / "clone"
    shutil.copytree(smoke_run, clone, symlinks=True)
    return clone


def under(clone: Path, stage: str) -> dict[str, bytes]:
    found = contents(clone)
    return {name: found[name] for name in found if name.startswith(f"{stage}/")}


def of_arm(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {path: files[path] for path in files if Path(path).parts[1] == name}


def trained(clone: Path, output: str) -> set[str]:
    """The arms that a run trained, by its log."""
    log = re.search(r"Complete log\(s\): (.*)", output)
    assert log
    text = Path(log[1]).read_text(encoding="utf-8")
    return set(re.findall(r"output: results/smoke/retraining/([\w-]+)$", text, re.M))


def test_scores_that_come_out_the_same_train_nothing(clone: Path) -> None:
    config = edited_config(clone, "units", gradients={"units": "targets"})
    arms = smoke_config(clone)["arms"].values()
    by_score = sum(arm.get("draws", 1) for arm in arms if "target" in arm)
    rerun = planned(clone, config=config)
    assert rerun["build_arm"] == by_score
    assert not {"retrain_arm", "evaluate_arm", "train_baseline"} & set(rerun)

    before = {stage: under(clone, stage) for stage in ("interventions", "retraining")}
    result = run(clone, "retraining", config=config)
    assert result.returncode == 0, result.stdout[-4000:]
    assert jobs(result.stdout)["build_arm"] == by_score
    assert trained(clone, result.stdout) == set()
    assert under(clone, "retraining") == before["retraining"]
    rows = {n: b for n, b in before["interventions"].items() if ".match." not in n}
    after = under(clone, "interventions")
    assert {name: after[name] for name in rows} == rows
    assert planned(clone, "retraining", config=config) == {}


@pytest.mark.long
def test_arms_whose_rows_are_others_are_trained_and_no_others(clone: Path) -> None:
    config = edited_config(clone, "qk", gradients={"units": "targets", "mode": "qk"})
    before = {stage: under(clone, stage) for stage in ("interventions", "retraining")}
    result = run(clone, config=config)
    assert result.returncode == 0, result.stdout[-4000:]
    after = {stage: under(clone, stage) for stage in before}
    others = {
        Path(name).stem
        for name, rows in before["interventions"].items()
        if name.endswith(".h5")
        and ".match." not in name
        and after["interventions"][name] != rows
    }
    assert others
    assert trained(clone, result.stdout) == others
    for folder in (clone / "results/smoke/retraining").iterdir():
        if not folder.is_dir():
            continue
        arm = clone / f"results/smoke/interventions/{folder.name}.h5"
        assert seals.is_made_of(folder, arm)
        kept = of_arm(before["retraining"], folder.name)
        same = of_arm(after["retraining"], folder.name) == kept
        assert same == (folder.name not in others)
    assert planned(clone, config=config) == {}


def test_what_reads_runs_waits_until_it_is_known_which_are_trained() -> None:
    """Else it would run on the old ones, and not again when they are others."""
    readers = {}
    for file in (REPOSITORY / "rules").glob("*.smk"):
        if file.name == "targets.smk":  # those have no jobs of their own
            continue
        parts = re.split(r"^ *rule (\w+):\n", file.read_text(), flags=re.M)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            inputs = re.search(r"^( *)input:\n((?:\1 +.*\n)+)", text, re.M)
            if inputs and OF_RUNS.search(inputs[2]):
                readers[name] = bool(WAITS.search(inputs[2]))
    assert {"evaluate_arm", "measure_effects", "plot_emergence"} <= set(readers)
    assert all(readers.values()), readers
