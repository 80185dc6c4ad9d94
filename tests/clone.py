"""A fresh clone of the project, and Snakemake run in it as a user would."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def make_clone(folder: Path) -> Path:
    """Copy what git would clone (and what is not committed yet) into `folder`."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return folder


def command(*arguments: str, config: str = "config/smoke.yaml") -> list[str]:
    """The command line of a run on two cores."""
    # --configfile takes every word that follows it, so it comes last.
    return [*SNAKEMAKE, "--cores", "2", *arguments, "--configfile", config]


def run(clone: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a clone to its end; stdout and stderr together."""
    return subprocess.run(
        command(*arguments, **options),
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_and_kill(clone: Path, seconds: float) -> bool:
    """Start a run and kill -9 it and all its children; False if it ended before."""
    process = subprocess.Popen(
        command(),
        cwd=clone,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def jobs(output: str) -> dict[str, int]:
    """Job counts by rule, from the statistics in what Snakemake printed or logged."""
    logged = re.search(r"Complete log\(s\): (.*)", output)
    if logged and "Job stats:" not in output:
        output = Path(logged[1]).read_text(encoding="utf-8")
    counts = {}
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("Job stats:"):
            next(lines), next(lines)
            for row in lines:
                words = row.split()
                if len(words) != 2:
                    break
                counts[words[0]] = int(words[1])
    counts.pop("total", None)
    return counts


VOLATILE = ("benchmarks",)
COSTS = re.compile(rb'<table class="sortable" id="costs">.*?</table>', re.S)


def contents(clone: Path, experiment: str = "smoke") -> dict[str, bytes]:
    """Every result file's bytes, without timings, time stamps and records of inputs."""
    root = clone / "results" / experiment
    return {
        str(path.relative_to(root)): COSTS.sub(b"", path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name != ".snakemake_timestamp"
        and path.suffix != ".seal"
        and path.relative_to(root).parts[0] not in VOLATILE
    }
