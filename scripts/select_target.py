"""Choose the head of a target."""

from pathlib import Path

from headwater import job
from headwater.heads.targets import choose_target, write_choice
from headwater.identity import identity
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config:
        name = snakemake.wildcards.target
        scores = read_table(Path(snakemake.input.scores))
        target = choose_target(config["targets"][name], scores)
        stamp = identity("heads", config, targets=[name])
        write_choice(Path(snakemake.output[0]), target, stamp)
        job.logger.info(
            "target %s: head %s (%s), %s %.3f at the last checkpoint",
            *(name, target.head, target.chosen, target.score, target.final),
        )


main(snakemake)  # noqa: F821
