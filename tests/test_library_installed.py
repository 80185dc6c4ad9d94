"""The library where pip has installed it from a checkout, and no checkout is near."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clone import make_clone
from small_run import SmallRun

pytest.importorskip("setuptools", minversion="77")

READ = """
import sys
import headwater
from headwater.report import TEMPLATES
print(headwater.__file__)
run = headwater.open("results/small")
print(len(run.scores("induction")), run.text(3)[:2], len(run.arm_rows("remove_top")))
print(sorted(path.name for path in TEMPLATES.rglob("*.html")))
print("snakemake" in sys.modules or "torch" in sys.modules)
"""


@pytest.mark.long
def test_installed_it_reads_a_run_from_anywhere(tmp_path):
    clone, site = make_clone(tmp_path / "clone"), tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([*pip, *options, str(clone)], check=True, cwd=tmp_path)
    SmallRun(tmp_path / "work/results/small")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", READ],
        env=environment,
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=True,
    )
    where, counts, templates, heavy = done.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    assert counts == "64 漢字 64"
    source = clone / "scripts/headwater/report/templates"
    assert templates == str(sorted(path.name for path in source.rglob("*.html")))
    assert heavy == "False"
