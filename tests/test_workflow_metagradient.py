"""An arm by its metagradient beside one by MDA's, on the finished smoke experiment."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
import zarr

from clone import command, jobs, run
from headwater.checkpoints.files import load_model
from headwater.checkpoints.needs import parameters
from headwater.config import read_config_file
from headwater.interventions.scores import SMOOTHED
from headwater.metagradient.metric import metrics_of

pytestmark = pytest.mark.workflow

CONFIG = "config/metagradient.yaml"
FILES = ("induction.h5", "previous_token.h5", "smoothness.json", "linearity.tsv")


def with_arms(smoke_run: Path, clone: Path, **settings) -> Path:
    """A copy of the finished run, with arms ranked by metagradients."""
    shutil.copytree(smoke_run, clone)
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text(encoding="utf-8"))
    own = {"action": "remove", "fraction": 0.1, "score": "metagradient"}
    config["arms"] |= {
        "remove_meta": {**own, "rows": "top", "target": "induction"},
        "remove_other": {**own, "rows": "top", "target": "previous_token"},
    }
    config["metagradient"] = settings
    (clone / CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    return clone


@pytest.fixture(scope="module")
def made(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole run, with both arms beside the others."""
    clone = with_arms(smoke_run, tmp_path_factory.mktemp("meta") / "clone")
    done = run(clone, config=CONFIG)
    assert done.returncode == 0, done.stdout[-4000:]
    (clone / "done.txt").write_text(done.stdout, encoding="utf-8")
    return clone


def results(clone: Path) -> Path:
    return clone / "results/smoke/metagradient"


def read(clone: Path, target: str) -> np.ndarray:
    with h5py.File(results(clone) / f"{target}.h5") as file:
        return file["metagradient"][...]


def test_one_run_has_arms_by_both_scores(made: Path) -> None:
    done = jobs((made / "done.txt").read_text(encoding="utf-8"))
    assert done["differentiate"] == done["check_linearity"] == 1
    assert done["build_arm"] == done["retrain_arm"] == 2
    scores = read(made, "induction")
    assert scores.shape == (256,)
    assert np.isfinite(scores).all()
    assert (scores > 0).any()
    assert (scores < 0).any()
    with h5py.File(made / "results/smoke/interventions/remove_meta-seed0.h5") as file:
        picked = file["picked"][...]
    top = np.argsort(-scores, kind="stable")[: len(picked)]
    assert picked.tolist() == sorted(top)
    effects = pd.read_csv(made / "results/smoke/evaluation/effects.tsv", sep="\t")
    assert {"remove_top", "remove_meta", "remove_random"} <= {*effects["arm"]}
    page = (made / "results/smoke/report/index.html").read_text(encoding="utf-8")
    assert "remove_meta" in page
    assert "How far sums of metagradients reach" in page


def test_smoothness_and_linearity_stand_beside_the_scores(made: Path) -> None:
    text = (results(made) / "smoothness.json").read_text(encoding="utf-8")
    found = json.loads(text)["targets"]
    assert {*found} == {"induction", "previous_token"}
    one = found["induction"]
    assert [*one["values"]] == ["24", "32", "40", "48"]
    assert len(one["norms"]) == 33
    assert one["worst"][0]["factor"] >= one["worst"][1]["factor"] > 0
    table = pd.read_csv(results(made) / "linearity.tsv", sep="\t")
    assert table["weight"].tolist() == [0.995, 0.995, 0.95, 0.95, 0, 0]
    near = table[table["weight"] == 0.995]
    # Float32 tells such small changes to some per cent.
    np.testing.assert_allclose(near["ratio"], 1, atol=0.2)
    log = (made / "logs/smoke/metagradient/differentiate.log").read_text("utf-8")
    assert "the adjoint grew" in log


def test_f_is_that_of_the_baselines_checkpoints(made: Path) -> None:
    """So the way back went through the very states of the baseline."""
    config = read_config_file(made / CONFIG)
    experiment = made / "results/smoke"
    metric = metrics_of(
        [experiment / "heads/targets/induction.json"],
        str(experiment / "corpus/held_out.zarr"),
        str(experiment / "corpus/tokenizer"),
        config,
    )["induction"]
    text = (results(made) / "smoothness.json").read_text(encoding="utf-8")
    values = json.loads(text)["targets"]["induction"]["values"]
    for step, value in values.items():
        model = load_model(experiment / f"checkpoints/step{step}", config)
        assert metric.value(model) == pytest.approx(value, rel=1e-6)


def test_as_the_method_it_ranks_the_rows_beside_the_papers_score(
    made: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(made, clone)
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text(encoding="utf-8"))
    config["influence"] = {"method": "metagradient"}
    top = config["arms"]["remove_top"]
    config["arms"] = {"remove_top": top, "remove_mda": {**top, "score": "mda"}}
    (clone / CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    before = zarr.open_group(results(made).parent / "influence/induction.zarr")
    done = run(clone, config=CONFIG)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Rows are ranked by the metagradient" in done.stdout
    assert "differentiate" not in jobs(done.stdout)  # it was there
    found = zarr.open_group(results(clone).parent / "influence/induction.zarr")
    np.testing.assert_array_equal(found["scores"], read(made, "induction"))
    np.testing.assert_array_equal(found["mda"], before["scores"])
    run_of = results(made).parent / "interventions"
    for name, same in (("remove_top", "remove_meta"), ("remove_mda", "remove_top")):
        mine = results(clone).parent / f"interventions/{name}-seed0.h5"
        with h5py.File(mine) as own, h5py.File(run_of / f"{same}-seed0.h5") as other:
            assert own["picked"][...].tolist() == other["picked"][...].tolist()
    page = (results(clone).parent / "report/index.html").read_text(encoding="utf-8")
    assert "Rows are ranked by the metagradient" in page


def test_smoothed_scores_are_made_where_arms_name_them(
    made: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(made, clone)
    config = yaml.safe_load((clone / CONFIG).read_text(encoding="utf-8"))
    arm = config["arms"]["remove_meta"]
    config["arms"] |= {n: {**arm, "score": score} for n, score in SMOOTHED.items()}
    config["metagradient"] = {"segment": 20}
    (clone / CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    done = run(clone, "metagradient", config=CONFIG)
    assert done.returncode == 0, done.stdout[-4000:]
    assert jobs(done.stdout) == {"smooth_metagradient": 4, "metagradient": 1}
    text = (results(made) / "smoothness.json").read_text(encoding="utf-8")
    plain, values = json.loads(text)["targets"]["induction"]["values"], {}
    for name, score in SMOOTHED.items():
        with h5py.File(results(clone) / f"induction.{name}.h5") as file:
            scores = file[score][...]
            assert ("standard_errors" in file) == (name in ("subsets", "orders"))
        assert scores.shape == (256,)
        assert np.isfinite(scores).all()
        # So it is of the same rows: what is smoothed is not another thing.
        assert np.corrcoef(scores, read(made, "induction"))[0, 1] > 0.5
        text = (results(clone) / f"{name}.json").read_text(encoding="utf-8")
        found = json.loads(text)["trainings"]
        values[name] = [one["induction"]["values"] for one in found]
    assert values["segments"] == [{step: plain[step] for step in ("32", "48")}]
    assert values["orders"][0] == plain
    assert len(values["subsets"]) == len(values["path"]) == 4


def written(clone: Path) -> set[tuple[str, int]]:
    """What is kept on the way, by name and time."""
    folder = results(clone) / "run.part"
    files = [path for path in folder.rglob("*.safetensors") if path.exists()]
    return {(str(path), path.stat().st_mtime_ns) for path in files}


def killed_when_something_is_kept(clone: Path) -> bool:
    """Start a run, and kill -9 it with all its children; False if it ended before."""
    process = subprocess.Popen(
        command("metagradient", config=CONFIG),
        cwd=clone,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    before = written(clone)
    while process.poll() is None:
        time.sleep(0.05)
        if written(clone) - before:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
    return False


@pytest.mark.long
@pytest.mark.parametrize("numbers", [1000, 53], ids=["checkpoints", "cut further"])
def test_killed_anywhere_it_ends_with_the_same_bytes(
    made: Path, smoke_run: Path, tmp_path: Path, numbers: int
) -> None:
    config = read_config_file(made / CONFIG)
    space = numbers * 4 * parameters(config) / 1e9
    clone = with_arms(smoke_run, tmp_path / "clone", space_gb=space)
    kills = 0
    while killed_when_something_is_kept(clone):
        kills += 1
    assert kills >= 4
    log = (clone / "logs/smoke/metagradient/differentiate.log").read_text("utf-8")
    assert ("4 segments, 1.00 trainings" in log) == (numbers == 1000)
    for name in FILES:
        found, expected = ((results(c) / name).read_bytes() for c in (clone, made))
        assert found == expected, name


def test_too_little_space_is_told_in_a_line(smoke_run: Path, tmp_path: Path) -> None:
    clone = with_arms(smoke_run, tmp_path / "clone", space_gb=0.001)
    done = run(clone, "metagradient", config=CONFIG)
    assert done.returncode != 0
    assert "metagradient.space_gb: 0.001 GB is too little for 32 steps" in (done.stdout)
    assert "Traceback" not in done.stdout
