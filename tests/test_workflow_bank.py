"""A bank on the finished smoke experiment: what is trained, judged, told and drawn."""

import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from clone import jobs, run
from headwater.evaluation.bank import RESPONSES, read_bank
from headwater.evaluation.lds import AGAIN, ALL

pytestmark = pytest.mark.workflow

SUBSET = {"action": "remove", "rows": "subset", "fraction": 0.1, "strata": ["domain"]}
CONFIG = "config/subsets.yaml"


@pytest.fixture(scope="module")
def judged(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_bank(smoke_run, tmp_path_factory.mktemp("judged") / "clone")


def with_bank(smoke_run: Path, clone: Path) -> Path:
    """A clone in which arms of subsets have run as well."""
    shutil.copytree(smoke_run, clone)
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text())
    config["arms"] |= {
        "small": {**SUBSET, "draws": 5},
        "again": {**SUBSET, "draws": 3, "order": 1},
    }
    (clone / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    done = run(clone, config=CONFIG)
    assert done.returncode == 0, done.stdout[-4000:]
    (clone / "done.txt").write_text(done.stdout)
    return clone


def test_only_the_bank_is_trained(judged: Path) -> None:
    done = jobs((judged / "done.txt").read_text())
    assert done["retrain_arm"] == done["build_arm"] == 8
    assert done["evaluate_arm"] == 2
    assert done["measure_lds"] == done["score_variants"] == 1
    assert not {"row_gradients", "score_rows", "train_baseline"} & {*done}


def test_the_banks_tables_are_what_was_trained(judged: Path) -> None:
    results = judged / "results/smoke"
    bank = read_bank(results / "evaluation/bank")
    assert bank.runs["run"].tolist() == [
        *(f"small-seed{draw}" for draw in range(5)),
        *(f"again-seed{draw}" for draw in range(3)),
    ]
    picked = []
    for line, name in enumerate(bank.runs["run"]):
        with h5py.File(results / f"interventions/{name}.h5") as file:
            picked.append(file["picked"][...])
            assert (file["weights"][...] == 0).sum() == len(picked[-1]) == 26
            assert (np.diff(file["rows"][...]) == 1).all() == (line < 5)
        np.testing.assert_array_equal(np.sort(bank.lacks[[line]].indices), picked[-1])
    np.testing.assert_array_equal(picked[0], picked[5])
    assert len({rows.tobytes() for rows in picked}) == 5
    assert np.ptp(bank.mix(), axis=0).max() == 0
    assert np.isfinite(bank.runs[[*RESPONSES]]).all(axis=None)


def test_every_score_is_judged(judged: Path) -> None:
    table = pd.read_csv(judged / "results/smoke/evaluation/lds.tsv", sep="\t")
    names = "mda mda_previous_token loss repetition lexical gradient_dot gradient_norm"
    names += " damping_hundredth damping_tenth damping_tenfold diagonal adam qk v o"
    names += " remaining signed_norm per_loss random"
    assert {*names.split()} <= {*table["score"]} <= {*names.split(), "circuit", AGAIN}
    assert {*table["arm"]} == {"small", "again"}
    assert ALL not in {*table["arm"]}
    assert {*table.loc[table["score"] == AGAIN, "arm"]} == {"again"}
    assert table["lds"].between(-1, 1).all()


def test_the_banks_sums_are_what_scores_predict_of_runs(judged: Path) -> None:
    """So that scores are combined over members from small tables alone."""
    results = judged / "results/smoke"
    bank = read_bank(results / "evaluation/bank")
    sums = pd.read_csv(results / "evaluation/bank/sums.tsv", sep="\t")
    assert sums["run"].tolist() == bank.runs["run"].tolist()
    lines = pd.read_csv(results / "evaluation/lds.tsv", sep="\t")
    assert {*sums} - {"run"} == {*lines["score"]} - {AGAIN}
    ranked = pd.read_csv(results / "influence/induction.tsv", sep="\t")
    scores = ranked.set_index("row")["score"].reindex(bank.rows).to_numpy()
    np.testing.assert_allclose(sums["mda"], -(bank.lacks @ scores), rtol=1e-4)
    command = [sys.executable, "scripts/league.py", "--configfile", CONFIG]
    said = subprocess.run(
        command, cwd=judged, capture_output=True, text=True, check=True
    ).stdout
    assert "fitted: scores are combined by the banks of some members" in said
    assert "| fitted |" not in said


def test_the_reports_are_about_the_other_arms(judged: Path) -> None:
    report = judged / "results/smoke/report"
    for name in ("summary.md", "index.html", "emergence.svg"):
        said = (report / name).read_text().split('<section id="run"')[0]
        assert "remove_top" in said
        assert "subset" not in said
        assert "small-seed" not in said
    arms = pd.read_csv(report / "verdicts.tsv", sep="\t")[["arm", "control"]]
    assert not {"small", "again"} & {*arms.to_numpy().ravel()}


def test_a_score_file_gets_the_line_of_its_scores(judged: Path) -> None:
    """The experiment's own ranking, given as a file."""
    results = judged / "results/smoke"
    ranked = pd.read_csv(results / "influence/induction.tsv", sep="\t")
    ranked.to_csv(judged / "mine.tsv", sep="\t", index=False)
    command = [sys.executable, "scripts/judge_scores.py", "--scores", "mine.tsv"]
    said = subprocess.run(
        [*command, "--experiment", "smoke"],
        cwd=judged,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    begin = said.index("small, 5 runs") + 9
    lines = [line.split() for line in takewhile(str.strip, said[begin:])]
    cells = {line[0]: line[1:] for line in lines}
    assert cells[">"][1:] == cells["mda"]
