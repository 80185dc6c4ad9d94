"""Choose the head of a target, or that of its unit."""

from pathlib import Path

from headwater import job
from headwater.heads.targets import choose_target, write_choice
from headwater.identity import identity
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config:
        name = snakemake.wildcards.target
        scores = read_table(Path(snakemake.input.scores))
        target = choose_target(config["targets"][name], scores, config)
        stamp = identity("heads", config, targets=[name])
        write_choice(Path(snakemake.output[0]), target, stamp)
        of = f"of {target.head} " if target.head != target.unit else ""
        curve = "" if target.final is None else f" {of}{target.final:.3f} at the end"
        job.logger.info(
            "target %s: %s (%s), followed by %s%s",
            *(name, target.name, target.chosen, target.score, curve),
        )


main(snakemake)  # noqa: F821
