"""How long a job on the cluster is not yet at work.

    python benchmarks/cluster.py --rounds 5

On the lab of tests/cluster (as root on Debian; started here and taken down again): one
job at a time, on an otherwise idle cluster, and the moments at which its processes
start. Prints a table of medians.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/cluster"), str(ROOT / "tests")]

from lab.cluster import SCRIPT, Lab  # noqa: E402
from lab.processes import started, step_daemons, title, with_children  # noqa: E402
from slurm_site import LAB  # noqa: E402
from workspace import Head, Workspace  # noqa: E402

# One that does not import torch, and one that does.
RULES = {
    "train_tokenizer": "results/smoke/corpus/tokenizer",
    "probe_gradient": "results/smoke/gradients/start/induction.h5",
}
PHASES = (
    "sbatch called until SLURM starts the job",
    "Snakemake in the job, until it calls srun",
    "Snakemake in the step, until it starts the script",
    "imports of the script, until its log begins",
)
SUBMITTING, BEGUN = "Execute 1 jobs...", "rule {}:"


def phases(lab: Lab, workspace: Workspace, rule: str, target: str) -> list[float]:
    """Run one job; the seconds of each of `PHASES`."""
    logs = workspace.folder / "logs/smoke"
    for old in logs.rglob(f"{rule}*.log"):
        old.unlink()
    head = workspace.start(target, "--forcerun", rule)
    seen: dict[str, float] = {}
    while not head.ended():
        for name, moment in signs(lab, head, logs, rule).items():
            seen.setdefault(name, moment)
        time.sleep(0.05)
    head.succeed()
    times = [seen[name] for name in ("submit", "batch", "step", "script", "log")]
    return [later - sooner for sooner, later in pairwise(times)]


def signs(lab: Lab, head: Head, logs: Path, rule: str) -> dict[str, float]:
    """The moments that can be seen now, by name: seconds since 1970."""
    found = {}
    if BEGUN.format(rule) in head.output():
        found["submit"] = time.time()
    daemons = list(step_daemons(lab.layout.slurm_conf))
    for pid in daemons:
        found["batch" if ".batch]" in title(pid) else "step"] = started(pid)
    for pid in with_children(daemons):
        if SCRIPT in title(pid):
            found["script"] = started(pid)
    if any(log.stat().st_size for log in logs.rglob(f"{rule}*.log")):
        found["log"] = time.time()
    return found


def measure(lab: Lab, folder: Path, rounds: int) -> dict[str, list[list[float]]]:
    """The phases of every round, by rule."""
    workspace = Workspace.new(folder, LAB)
    workspace.start_locally(*RULES.values()).succeed()
    return {
        rule: [phases(lab, workspace, rule, target) for _ in range(rounds)]
        for rule, target in RULES.items()
    }


def show(found: dict[str, list[list[float]]]) -> None:
    """Print medians, and the sum without the wait for SLURM."""
    print("| seconds, median |", " | ".join(found), "|")
    print("| --- |", " | ".join("---" for _ in found), "|")
    for index, phase in enumerate(PHASES):
        medians = [statistics.median(r[index] for r in rows) for rows in found.values()]
        print(f"| {phase} |", " | ".join(f"{m:.1f}" for m in medians), "|")
    totals = [[sum(r[1:]) for r in rows] for rows in found.values()]
    texts = [
        f"**{statistics.median(t):.1f}** ({min(t):.1f} to {max(t):.1f})" for t in totals
    ]
    print("| start of the job until its log begins |", " | ".join(texts), "|")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    lab = Lab.up()
    try:
        with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
            show(measure(lab, Path(folder) / "clone", options.rounds))
    finally:
        lab.down()


if __name__ == "__main__":
    main()
