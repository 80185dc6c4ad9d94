"""Rank a target's rows, and say which domains the highest come from."""

from pathlib import Path

from headwater import job
from headwater.heads.window import open_window
from headwater.influence.files import read_losses, read_scores
from headwater.influence.ranking import domain_table, ranked_table
from headwater.publish import write_text


def main(snakemake):
    with job.start(snakemake) as config:
        shards = [Path(p) for p in snakemake.input.scores]
        scores = read_scores(shards, config)
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        ranked = ranked_table(scores, read_losses(shards, config), window)
        domains = domain_table(scores, window)
        for table, path in (
            (ranked, snakemake.output.ranked),
            (domains, snakemake.output.domains),
        ):
            write_text(Path(path), table.to_csv(sep="\t", index=False))


main(snakemake)  # noqa: F821
