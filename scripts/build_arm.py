"""Turn one arm into the row and the weight of every position of the window."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from headwater import job
from headwater.heads.targets import open_window
from headwater.identity import arm_identity
from headwater.influence.files import read_scores
from headwater.interventions.arms import arm_rows, overlap, pick_rows
from headwater.interventions.files import write_arm
from headwater.interventions.kinds import KINDS, RowFacts
from headwater.seeds import stable_seed


def main(snakemake):
    with job.start(snakemake) as config:
        arm, draw = snakemake.wildcards.arm, int(snakemake.wildcards.draw)
        settings = config["arms"][arm]
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        scores = None
        if "target" in settings:
            scores = read_scores([Path(inputs.scores)], config)
        seed = stable_seed(config["seed"], "interventions", arm, draw)
        generator = np.random.default_rng(seed)
        count = round(settings["fraction"] * len(window))
        domains = window.domains()
        names = window.rows.domain_names
        disjoint = settings.get("disjoint", True)
        facts = RowFacts(domains, scores, names, disjoint)
        picked = pick_rows(settings["rows"], count, facts, generator)
        made = replace(
            arm_rows(settings["action"], picked, len(window), generator),
            overlap=overlap(settings["rows"], picked, facts),
        )
        stamp = arm_identity("interventions", config, arm, draw)
        write_arm(Path(snakemake.output[0]), made, stamp)
        counts = np.bincount(domains[picked], minlength=len(names))
        job.logger.info(
            "%s: %s %d of %d rows: %s",
            *(arm, settings["action"], len(picked), len(window)),
            ", ".join(f"{n!r} {c}" for n, c in zip(names, counts, strict=True)),
        )
        if made.overlap is not None:
            text = "%s: %.1f %% of the rows are also among as many %s"
            told = KINDS[KINDS[settings["rows"]].explains].noun
            job.logger.info(text, arm, 100 * made.overlap, told)


main(snakemake)  # noqa: F821
