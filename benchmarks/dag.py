"""How long Snakemake takes to be ready to submit a workflow of 2,000 jobs.

    .venv/bin/python benchmarks/dag.py

Measured from the command line to the moment before the first job is submitted: the
script holds the run's lock, so that Snakemake stops there. With nothing done yet, and
with half of the jobs done (their outputs are empty files, marked by `--touch`).
"""

import fcntl
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
EXPERIMENT = "dag"
PROBES = ("induction", "previous_token", "copying", "prefix_matching")
ROUNDS = 3

# In the order in which they are done; the scores of half of the targets are not.
FIRST_HALF = (
    *("corpus/", "checkpoints/", "heads/", "curvature/", "gradients/"),
    *("influence/ihvp/", "influence/t0", "influence/t1"),
)


def large_config():
    """The planted experiment with many shards, targets, points and arms."""
    config = yaml.safe_load(
        (REPOSITORY / "config/planted.yaml").read_text(encoding="utf-8")
    )
    config["experiment"] = EXPERIMENT
    config["corpus"] |= {
        "shards": [str(REPOSITORY / "resources/corpus")],
        "row_shards": 16,
    }
    config["gradients"] |= {"shards": 200, "units": ["L*H*"]}
    heads = [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    config["targets"] = {
        f"t{i}": {"probe": probe, "head": heads[i]} for i, probe in enumerate(PROBES)
    }
    config["targets"]["induction"] = {"probe": "induction", "head": "auto"}
    config["window"] |= {"checkpoints": 2}
    for arm in config["arms"].values():
        if arm["rows"] != "top":
            arm["draws"] = 40
    return config


def snakemake(folder, *arguments):
    """Run it to its end in a folder; its output."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    command += ["--snakefile", str(REPOSITORY / "workflow/Snakefile")]
    command += ["--directory", str(folder), *arguments]
    return subprocess.run(
        [*command, "--configfile", str(folder / "config.yaml")],
        cwd=REPOSITORY,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def used():
    """CPU seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ready(folder):
    """(seconds until the first job would be submitted, CPU seconds, jobs)."""
    lock = folder / "results" / f".{EXPERIMENT}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        start, before = time.monotonic(), used()
        result = snakemake(folder)
        wall, cpu = time.monotonic() - start, used() - before
    assert "another process is writing it" in result.stderr, result.stderr[-2000:]
    totals = [line for line in result.stderr.splitlines() if line.startswith("total ")]
    return wall, cpu, int(totals[0].split()[1])


def do_half(folder):
    """Make the outputs of about half of the jobs, without doing their work."""
    lines = snakemake(folder, "--summary").stdout.splitlines()[1:]
    outputs = [line.split("\t")[0] for line in lines]
    root = f"results/{EXPERIMENT}/"
    done = [o for o in outputs if o.removeprefix(root).startswith(FIRST_HALF)]
    for name in done:
        path = folder / name
        if path.suffix in (".h5", ".tsv", ".json"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)
    result = snakemake(folder, "--touch", *done)
    assert result.returncode == 0, result.stderr[-2000:]


def measure(name, folder):
    """Print the least of some rounds."""
    rounds = [ready(folder) for _ in range(ROUNDS)]
    wall, cpu, jobs = min(rounds)
    print(
        f"{name:12s} {jobs:6,} jobs to do  {wall:5.1f} s  {cpu:5.1f} s CPU", flush=True
    )


def main():
    """Measure both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(
            yaml.safe_dump(large_config()), encoding="utf-8"
        )
        measure("nothing done", folder)
        do_half(folder)
        measure("half done", folder)


if __name__ == "__main__":
    main()
