"""Commands that a person types: what is mistyped is told at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.config import read_config_file
from headwater.imports import ROOT
from headwater.projection.stored import store_paths
from test_imports import HEAVY

AT_ONCE = """
import runpy, sys
path = sys.argv[1]
sys.argv = sys.argv[1:]
try:
    runpy.run_path(path, run_name="__main__")
except SystemExit as end:
    print("ended with", end.code)
print("loaded", *sorted({name.split(".")[0] for name in sys.modules}))
"""


def command(folder: Path, script: str, *words: str) -> tuple[str, set[str]]:
    """What a command prints, run in a folder, and what it imported until its end."""
    result = subprocess.run(
        [sys.executable, "-c", AT_ONCE, ROOT / f"{script}.py", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    printed, _, loaded = result.stdout.rpartition("loaded ")
    return printed + result.stderr, set(loaded.split())


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Path:
    """A folder in which `few` seems finished, and `none` has not run."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "resources").symlink_to(ROOT.parent / "resources")
    smoke = (ROOT.parent / "config/smoke.yaml").read_text()
    for name in ("none", "few"):
        text = smoke.replace("experiment: smoke", f"experiment: {name}")
        (folder / f"{name}.yaml").write_text(text)
    (folder / "bad.yaml").write_text(smoke.replace("seed: 0", "seed: many"))
    results = folder / "results/few"
    (results / "heads").mkdir(parents=True)
    (results / "heads/window.json").touch()
    for path in store_paths(results, read_config_file(str(folder / "few.yaml"))):
        path.mkdir(parents=True)
        attributes = {"attributes": {"units": ["L0H0", "L1H1"]}}
        (path / "zarr.json").write_text(json.dumps(attributes))
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--help", "usage: "),
        (
            "L1H1 --configfile few.yaml",
            "L1H1: asked what? name a probe (--probe activation, copying, ",
        ),
        (
            "L1H1 --configfile few.yaml",
            "or a target, which has one (induction, previous_token)",
        ),
        ("inductoin --configfile few.yaml", "is no unit; write L1H3"),
        ("inductoin --configfile few.yaml", 'did you mean "induction"?'),
        ("induction --configfile none.yaml", "window.json: not there"),
        ("induction --configfile few.yaml", "targets/induction.json: not there"),
        ("L1H1 --like 3 --tokens", "--tokens needs a probe"),
        ("L1H1 --like 3 --damping 2", "--like asks without a probe"),
        ("L1H1 --prob copying --likes 3", "unrecognized arguments: --likes"),
        ("L1H1 --probe copyng", "invalid choice: 'copyng'"),
        ("L1H1 --like 3 --top 100000", "100000 is no whole number from 0 to 1,000"),
        ("L1H1 --probe copying --damping -1", "-1 is not above 0"),
        ("L1H1 --probe copying --damping nan", "nan is not above 0"),
        ("one --like 3 --configfile few.yaml", "'one' is no unit; write L1H3"),
        ("L1H1 --like 3 --configfile gone.yaml", "gone.yaml: no such config file"),
        ("L1H1 --like 3 --configfile bad.yaml", "bad.yaml: seed: "),
        ("L1H1 --like 3 --configfile none.yaml", "window.json: not there"),
        ("L7H0 --like 3 --configfile few.yaml", "L7H0: the model has layers 0..1"),
        ("L1H0 --like 3 --configfile few.yaml", "holds L0H0, L1H1"),
        ("L1H0 --like 3 --configfile few.yaml", 'units: ["L*H*"]}` in few.yaml'),
        ("L0H0+L1H1 --like 3 --configfile few.yaml", "holds L0H0, L1H1"),
        ("L1H1 --probe dataset --configfile few.yaml", "--data goes with the probes"),
        ("L1H1 --probe dataset --data x.jsonl --configfile few.yaml", "x.jsonl: no"),
        ("L1H1 --probe activation --configfile few.yaml", "--data goes with the"),
        ("L0N3 --probe copying --configfile few.yaml", "copying asks about a head"),
    ],
)
def test_a_question_that_cannot_be_asked_imports_nothing_slow(asked, words, said):
    printed, loaded = command(asked, "ask", *words.split())
    assert said in printed
    assert "Traceback" not in printed
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--help", "a line of --rows is a JSON object"),
        ("L1H1 --probe copying", "the following arguments are required: --rows"),
        (
            "L1H1 --rows few.yaml --configfile few.yaml",
            "L1H1: asked what? name a probe",
        ),
        (
            "L7H0 --probe copying --rows few.yaml --configfile few.yaml",
            "L7H0: the model has layers 0..1",
        ),
        ("L1H1 --probe copying --rows x --configfile none.yaml", "window.json: not"),
        ("L1H0 --probe copying --rows x --configfile few.yaml", "holds L0H0, L1H1"),
        ("L1H1 --probe copying --rows x --configfile few.yaml", "x: no such file"),
    ],
)
def test_rows_that_cannot_be_scored_are_told_at_once(asked, words, said):
    printed, loaded = command(asked, "score", *words.split())
    assert said in printed
    assert "Traceback" not in printed
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--help", "usage: "),
        ("--scores few.yaml", "the following arguments are required: --experiment"),
        ("--scores few.yaml --experiment ../few", "'../few': no experiment's name"),
        ("--scores gone.tsv --experiment few", "gone.tsv: no such file"),
        ("--scores few.yaml --experiment few", "lds.tsv: not there; arms of rows: sub"),
    ],
)
def test_scores_that_cannot_be_judged_are_told_at_once(asked, words, said):
    printed, loaded = command(asked, "judge_scores", *words.split())
    assert said in printed
    assert "Traceback" not in printed
    assert not HEAVY & loaded


@pytest.mark.parametrize("script", ["status", "plan", "shell"])
@pytest.mark.parametrize("words", ["--help", "--misspelt"])
def test_help_imports_nothing_slow(tmp_path, script, words):
    printed, loaded = command(tmp_path, script, words)
    assert "ended with" in printed
    assert not (HEAVY | {"snakemake"}) & loaded
