"""How often something holds where nothing is to be found: real runs, arms of chance.

    .venv/bin/python benchmarks/null.py

Makes the smallest experiment with 20 seeds and two arms of random rows, without scores,
and takes one of the two for an arm of top rows and the other for its control, in both
directions. Every five seeds are a study. What is there already is not made again.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headwater.config import load_config
from headwater.config.reading import read_config
from headwater.config.study import members
from headwater.evaluation.verdicts import HOLDS, LEVEL, Unit, verdicts
from headwater.interventions.runs import BASELINE
from headwater.study.running import Runs
from headwater.tables import read_table

SEEDS, EACH = 20, 5
ARM = {"action": "remove", "rows": "random", "fraction": 0.1}
ARMS = {"first": ARM, "second": {**ARM, "draws": 2}}
JUDGED = {"rows": "top", "target": "induction"}


def effects_of(config, at_once):
    """The effects of every member."""
    folder = Path("results", config["experiment"], "study")
    folder.mkdir(parents=True, exist_ok=True)
    commands, tables = {}, {}
    for name, member in members(config).items():
        file = folder / f"{name}.yaml"
        file.write_text(json.dumps(member), encoding="utf-8")
        tables[name] = f"results/{member['experiment']}/evaluation/effects.tsv"
        words = ["--cores", "1", tables[name], "--configfile", str(file)]
        commands[name] = [sys.executable, "-m", "snakemake", *words]
    runs = Runs(commands, Path("logs", config["experiment"], "study/members"))
    failed = runs.run(at_once)
    if failed:
        sys.exit(f"failed: {failed}")
    return {name: read_table(Path(table)) for name, table in tables.items()}


def claims_that_hold(effects, judged):
    """Of each study: claims against the control, and how many of them hold."""
    arms = {name: ARM | (JUDGED if name == judged else {}) for name in ARMS}
    names = list(effects)
    for first in range(0, len(names), EACH):
        study = {name: effects[name] for name in names[first : first + EACH]}
        table = verdicts(arms, [Unit("induction", "the head", study)])
        own = table[table["control"] != BASELINE]
        yield len(own), int((own["verdict"] == HOLDS).sum())


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--at-once", type=int, default=2)
    raw = read_config(Path("config/smoke.yaml"))
    raw |= {"experiment": "null", "arms": ARMS, "study": {"seeds": [*range(SEEDS)]}}
    config = load_config(raw, "null", Path.cwd())
    effects = effects_of(config, parser.parse_args().at_once)
    found = [line for arm in ARMS for line in claims_that_hold(effects, arm)]
    print(f"| studies of {EACH} seeds | claims | that hold | level of a study |")
    print("| --- | --- | --- | --- |")
    print(f"| {len(found)} | {sum(n for n, _ in found)} ", end="")
    print(f"| {sum(held for _, held in found)} | {LEVEL} |")


if __name__ == "__main__":
    main()
