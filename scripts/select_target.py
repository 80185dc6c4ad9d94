"""Choose the head of a target."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.heads.targets import choose_target, write_choice
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        name = snakemake.wildcards.target
        scores = pd.read_csv(snakemake.input.scores, sep="\t")
        target = choose_target(config["targets"][name], scores)
        stamp = identity("heads", config, targets=[name])
        write_choice(Path(snakemake.output[0]), target, stamp)
        job.logger.info(
            "target %s: head %s (%s), %s %.3f at the last checkpoint",
            *(name, target.head, target.chosen, target.score, target.final),
        )


main(snakemake)  # noqa: F821
