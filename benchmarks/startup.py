"""CPU seconds that the scripts of the planted run spend on imports.

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


def jobs(checkout):
    """Jobs of the planted run by rule with a script, as Snakemake counts them."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "resources").symlink_to(checkout / "resources")
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"]
        command += ["--cores", "1", "--directory", folder]
        command += ["--snakefile", checkout / "workflow/Snakefile"]
        command += ["--configfile", checkout / "config/planted.yaml"]
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", check=True
        )
    lines = (result.stdout + result.stderr).splitlines()
    pairs = [line.split() for line in lines if len(line.split()) == 2]
    return {
        rule: int(count)
        for rule, count in pairs
        if count.isdigit() and (checkout / "scripts" / f"{rule}.py").is_file()
    }


def main():
    """Print a line a script, and sums: jobs and seconds of each checkout."""
    checkouts = [REPOSITORY, *(Path(name).resolve() for name in sys.argv[1:2])]
    counts = [jobs(checkout) for checkout in checkouts]
    found = {}
    for _ in range(ROUNDS):
        for name, code in PARTS.items():
            found.setdefault(name, []).append(seconds(code))
        for rule in dict.fromkeys(rule for each in counts for rule in each):
            for place, checkout in enumerate(checkouts):
                if rule in counts[place]:
                    path = checkout / "scripts" / f"{rule}.py"
                    time = seconds(SCRIPT, str(path), checkout=checkout)
                    found.setdefault((rule, place), []).append(time)
    middle = {name: statistics.median(times) for name, times in found.items()}
    for name in PARTS:
        print(f"| {name} | | {middle[name]:.2f} |" + " | |" * (len(checkouts) - 1))
    for rule in dict.fromkeys(rule for each in counts for rule in each):
        cells = [
            f"{each[rule]} | {middle[rule, place]:.2f}" if rule in each else " | "
            for place, each in enumerate(counts)
        ]
        print(f"| `{rule}` | {' | '.join(cells)} |")
    sums = [
        f"{sum(each.values())} | "
        f"{sum(count * middle[rule, place] for rule, count in each.items()):.0f}"
        for place, each in enumerate(counts)
    ]
    print(f"| all jobs | {' | '.join(sums)} |")


if __name__ == "__main__":
    main()
