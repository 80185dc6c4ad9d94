"""Gather a target's scores, rank its rows, and say which domains are highest."""

from pathlib import Path

from headwater import job
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.files import read_losses, read_scores, write_scores
from headwater.influence.ranking import domain_table, ranked_table
from headwater.publish import write_text


def main(snakemake):
    with job.start(snakemake) as config:
        shards = [Path(p) for p in snakemake.input.scores]
        scores = read_scores(shards, config)
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        losses, target = read_losses(shards, config), snakemake.wildcards.target
        ranked = ranked_table(scores, losses, window)
        domains = domain_table(scores, window)
        for table, path in (
            (ranked, snakemake.output.ranked),
            (domains, snakemake.output.domains),
        ):
            write_text(Path(path), table.to_csv(sep="\t", index=False))
        stamp = identity("influence", config, [target], target=target)
        write_scores(Path(snakemake.output.scores), 0, scores, losses, stamp)


main(snakemake)  # noqa: F821
