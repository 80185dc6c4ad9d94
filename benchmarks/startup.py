"""CPU seconds that the scripts of the laptop run spend on imports.

    .venv/bin/python benchmarks/startup.py [OTHER_CHECKOUT]

Each script is run up to its `main`, in a process of its own; so is an import of torch,
and of torch and the model's class. All take turns, with those of another checkout too.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROUNDS = 3
MODEL = "from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM"
PARTS = {
    "python alone": "",
    "import torch": "import torch",
    "torch, the model's class": f"import torch; {MODEL}",
}
SCRIPT = """
import runpy, sys
try:
    runpy.run_path(sys.argv[1])
except NameError as error:
    assert "snakemake" in str(error)
"""


def used():
    """CPU seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(code, *arguments, checkout=REPOSITORY):
    """CPU seconds of a Python process that runs some code."""
    before = used()
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": str(checkout / "scripts")},
        check=True,
    )
    return used() - before


def jobs():
    """Jobs of the laptop run by rule, as Snakemake counts them."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "resources").symlink_to(REPOSITORY / "resources")
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-n",
            "--quiet",
            "rules",
            "--cores",
            "1",
        ]
        command += ["--snakefile", REPOSITORY / "workflow/Snakefile"]
        command += ["--configfile", REPOSITORY / "config/config.yaml"]
        result = subprocess.run(
            [*command, "--directory", folder],
            capture_output=True,
            text=True,
            check=True,
        )
    lines = (result.stdout + result.stderr).splitlines()
    pairs = [line.split() for line in lines if len(line.split()) == 2]
    return {name: int(count) for name, count in pairs if count.isdigit()}


def main():
    """Print a line a script, and sums."""
    checkouts = [REPOSITORY, *(Path(name).resolve() for name in sys.argv[1:2])]
    counts = {
        rule: count
        for rule, count in jobs().items()
        if all((c / "scripts" / f"{rule}.py").is_file() for c in checkouts)
    }
    found = {}
    for _ in range(ROUNDS):
        for name, code in PARTS.items():
            found.setdefault(name, []).append(seconds(code))
        for rule in counts:
            for place, checkout in enumerate(checkouts):
                path = checkout / "scripts" / f"{rule}.py"
                time = seconds(SCRIPT, str(path), checkout=checkout)
                found.setdefault((rule, place), []).append(time)
    middle = {name: statistics.median(times) for name, times in found.items()}
    for name in PARTS:
        print(f"| {name} | | {middle[name]:.2f} |")
    for rule, count in counts.items():
        times = [middle[rule, place] for place in range(len(checkouts))]
        print(f"| `{rule}` | {count} | {' | '.join(f'{t:.2f}' for t in times)} |")
    sums = [
        sum(count * middle[rule, place] for rule, count in counts.items())
        for place in range(len(checkouts))
    ]
    total = " | ".join(f"{s:.0f}" for s in sums)
    print(f"| all jobs | {sum(counts.values())} | {total} |")


if __name__ == "__main__":
    main()
