"""Judge every score of the rows by the runs without subsets of them: the bank."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.evaluation.bank import Bank, changes, lacking, write_bank
from headwater.evaluation.lds import AGAIN, lds_table, sums_table
from headwater.heads.targets import open_window, read_target
from headwater.influence.files import read_losses, read_mda, read_scores
from headwater.interventions.facts import read_facts
from headwater.interventions.files import read_arm
from headwater.seeds import stable_seed
from headwater.tables import read_table, write_table


def bank_of(snakemake, config, window):
    """The runs, and the rows that each was trained without."""
    inputs = snakemake.input
    target = read_target(Path(inputs.target[0]), config)
    tables = (read_table(Path(path)) for path in (inputs.effects, inputs.specificity))
    arms = list(dict.fromkeys(arm for arm, _ in snakemake.params.runs))
    runs = changes(*tables, target.head, arms)
    for key, default in (("fraction", None), ("order", 0)):
        runs[key] = [config["arms"][arm].get(key, default) for arm in runs["arm"]]
    picked = {Path(path).stem: Path(path) for path in inputs.arms}
    lacks = [read_arm(picked[run], config).picked for run in runs["run"]]
    names = np.array(window.rows.domain_names, object)[window.domains()]
    return Bank(runs, lacking(lacks, len(window)), window.first, names.tolist())


def scores_of(inputs, config, rows):
    """Every score of the rows: of all targets, by other choices, by facts alone."""
    own = config["window"]["target"]
    found = {}
    for path in map(Path, inputs.scores):
        name = "mda" if path.stem == own else f"mda_{path.stem}"
        found[name] = read_mda(path, config)
        if path.stem == own:
            found["loss"] = read_losses([path], config)
    points = read_scores([Path(path) for path in inputs.points], config)
    if points.shape[1] > 1:
        found["first_checkpoint"] = points[:, 0]
    for path in map(Path, inputs.facts):
        found |= read_facts(path, config)
    del found["length"]  # of a row's longest document: no claim of helpfulness
    generator = np.random.default_rng(stable_seed(config["seed"], "evaluation", "lds"))
    return {**found, "random": generator.normal(size=rows)}


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        bank = bank_of(snakemake, config, window)
        scores = scores_of(inputs, config, len(window))
        table = lds_table(scores, bank)
        write_bank(Path(snakemake.output.runs).parent, bank)
        write_table(Path(snakemake.output.sums), sums_table(scores, bank))
        write_table(Path(snakemake.output.lds), table)
        best = table[table["score"] != AGAIN].sort_values("lds", ascending=False)
        for _, line in best.groupby(["arm", "response"], sort=False).head(1).iterrows():
            job.logger.info(
                "%(arm)s, %(response)s: best predicted by %(score)s, LDS %(lds).3f "
                "[%(low).3f, %(high).3f], n %(n)d",
                line.to_dict(),
            )


main(snakemake)  # noqa: F821
