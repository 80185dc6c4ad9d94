"""How much of a ranking is loss, repetition or domain: read off finished experiments.

    .venv/bin/python benchmarks/explained.py --configfile config/config.yaml

For the experiment, or every member of its study, the scores of the window's target are
set beside what else is known of the rows. Prints a table: Spearman's correlation with
the scores, and the share of the top 10 % that both have (chance: .10); of the domain,
and of cells of domain and loss decile, the share of the variance of the scores' ranks
that lies between them. Facts of gradients and words are made first where they lack.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headwater.config import read_config_file
from headwater.config.study import members
from headwater.corpus.holdout import token_counts
from headwater.heads.targets import open_window
from headwater.influence.files import read_losses, read_scores
from headwater.interventions.facts import RowFacts, fact_files, read_facts
from headwater.interventions.measures import text_rankings

FACTS = ("repetition", "gradient_norm", "lexical")  # and what else is in their files
TOP = 0.1


def between(scores, cells):
    """Share of the variance of the ranks that lies between cells (eta squared)."""
    ranks = rankdata(scores)
    _, cell = np.unique(cells, return_inverse=True)
    means = np.bincount(cell, ranks) / np.bincount(cell)
    return np.var(means[cell]) / np.var(ranks)


def shared(first, second):
    """Share of the top rows of one ranking that the other has, too."""
    count = round(TOP * len(first))
    tops = (np.argsort(-values, kind="stable")[:count] for values in (first, second))
    return len(np.intersect1d(*tops)) / count


def facts_of(config, configfile):
    """What is known of every row of an experiment's window, and its scores."""
    target, folder = config["window"]["target"], Path("results", config["experiment"])
    paths = [folder / path for path in fact_files(FACTS, target)]
    if lacking := [str(path) for path in paths if not path.is_file()]:
        words = [*lacking, "--cores", "1", "--rerun-triggers", "mtime"]
        command = [sys.executable, "-m", "snakemake", *words]
        subprocess.run([*command, "--configfile", str(configfile)], check=True)
    rows = sorted(folder.glob("corpus/[0-9]*.zarr"))
    _, window = open_window(folder / "heads/window.json", rows, config)
    stored = [folder / f"influence/{target}.zarr"]
    counts = token_counts(folder / "corpus/held_out.zarr", config)
    numbers = {"loss": read_losses(stored, config)}
    for path in paths:
        numbers |= read_facts(path, config)
    numbers |= {**text_rankings(window, counts), "time": np.arange(len(window))}
    return read_scores(stored, config), window.domains(), numbers


def explained(config, configfile):
    """What is to be printed of one experiment, by line."""
    scores, domains, numbers = facts_of(config, configfile)
    found = {}
    for name, values in numbers.items():
        if np.ptp(values) > 0:
            rho = spearmanr(values, scores).statistic
            found[name] = f"{rho:+.2f} / {shared(scores, values):.2f}"
    facts = RowFacts(domains, {"loss": numbers["loss"]}, alike=("domain", "loss"))
    found["domain (share of variance)"] = f"{between(scores, domains):.2f}"
    found["domain and loss (share of variance)"] = (
        f"{between(scores, facts.cells()):.2f}"
    )
    return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--configfile", default="config/config.yaml", type=Path)
    path = parser.parse_args().configfile
    config = read_config_file(str(path))
    found = members(config) or {config["experiment"]: config}
    files = Path("results", config["experiment"], "study")
    columns = {}
    for name, member in found.items():
        scored = Path("results", member["experiment"], "influence").is_dir()
        if not scored:  # it grew no head, or was not run
            continue
        own = files / f"{name}.yaml"
        columns[name] = explained(member, own if own.is_file() else path)
    print("| Spearman with the scores / shared top 10 % |", " | ".join(columns), "|")
    print("| --- " * (len(columns) + 1) + "|")
    for line in next(iter(columns.values())):
        print(
            "|", line, "|", " | ".join(c.get(line, "-") for c in columns.values()), "|"
        )


if __name__ == "__main__":
    main()
