"""Any job's script opens in a shell, with its inputs, and nothing runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from clone import contents

pytestmark = pytest.mark.workflow


def shell(clone: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, "scripts/shell.py", *words]
    command += ["--configfile", "config/smoke.yaml"]
    return subprocess.run(
        command, cwd=clone, input=typed, capture_output=True, text=True, check=False
    )


def test_the_script_is_defined_and_has_its_inputs(smoke_run: Path) -> None:
    before = contents(smoke_run)
    typed = (
        "job = snakemake\n"
        "print(job.rule, list(job.input.scores), job.config['seed'])\n"
        "print(main.__module__, Path(job.output.ranked).exists())\n"
    )
    done = shell(smoke_run, "results/smoke/influence/induction.tsv", typed=typed)
    assert done.returncode == 0, done.stderr
    scores = [f"results/smoke/influence/induction/000{i}.zarr" for i in range(2)]
    assert f"rank_rows {scores} 0\n" in done.stdout
    assert "__shell__ True\n" in done.stdout
    assert "rank_rows: scripts/rank_rows.py" in done.stderr
    assert "not there yet" not in done.stderr
    assert contents(smoke_run) == before


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("results/smoke/curvture/start.h5", "results/smoke/curvture/start.h5: no job"),
        ("heads", "heads: no job makes it; name a file of results/"),
    ],
)
def test_what_no_job_makes_is_told_in_one_line(smoke_run: Path, file, told) -> None:
    done = shell(smoke_run, file)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
