"""Gather a target's scores, rank its rows, and say which domains are highest."""

from pathlib import Path

from headwater import job
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.average import counted, mean_scores, point_factors
from headwater.influence.files import read_losses, read_scores, write_scores
from headwater.influence.ranking import domain_table, ranked_table
from headwater.interventions.facts import read_facts
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        shards = [Path(p) for p in snakemake.input.scores]
        points = read_scores(shards, config)
        factors = point_factors(points)
        scores, mda = mean_scores(points, factors), None
        inputs = snakemake.input
        if inputs.through:
            method = config["influence"]["method"]
            scores, mda = read_facts(Path(inputs.through[0]), config)[method], scores
        _, window = open_window(inputs.window, inputs.rows, config)
        losses, target = read_losses(shards, config), snakemake.wildcards.target
        ranked = ranked_table(scores, losses, window, counted(points))
        domains = domain_table(scores, window)
        for table, path in (
            (ranked, snakemake.output.ranked),
            (domains, snakemake.output.domains),
        ):
            write_table(Path(path), table)
        stamp = identity("ranking", config, [target], target=target)
        path, kept = Path(snakemake.output.scores), factors.tolist()
        write_scores(path, 0, scores, losses, stamp, mda, point_factors=kept)


main(snakemake)  # noqa: F821
