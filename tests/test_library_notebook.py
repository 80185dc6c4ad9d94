"""The notebook of docs/ runs on a finished run, and is kept without its outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clone import REPOSITORY
from headwater.imports import ROOT
from small_run import SmallRun

NOTEBOOK = REPOSITORY / "docs/a-first-look.ipynb"
RUNNER = Path(__file__).with_name("notebook.py")


def shown(folder: Path) -> str:
    """What its cells show, run where `results/laptop` is."""
    done = subprocess.run(
        [sys.executable, RUNNER, NOTEBOOK],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_cell_runs_and_shows_the_runs_own_numbers(tmp_path):
    made = SmallRun(tmp_path / "results/laptop")
    output = shown(tmp_path)
    assert "steps 3 to 11: 64 rows, 24 to 87" in output
    best = int(made.scores["induction"].argmax()) + 24
    assert made.encoder.decode(made.tokens[best]) in output
    assert f"{made.scores['induction'].max():.6f}" in output


@pytest.mark.workflow
def test_every_cell_runs_on_what_the_workflow_leaves(smoke_run, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/laptop").symlink_to(smoke_run / "results/smoke")
    assert "steps 16 to 48: 256 rows" in shown(tmp_path)


def test_it_is_valid_and_holds_no_output():
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(notebook)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    for cell in cells:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
