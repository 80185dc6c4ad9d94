"""The figure of where each target's top rows come from."""

from pathlib import Path

from headwater import job
from headwater.corpus.domains import planted
from headwater.heads.targets import read_choice
from headwater.report import enrichment, style
from headwater.report.tables import read_tables


def main(snakemake):
    with job.start(snakemake) as config, style.applied():
        choice = read_choice(
            Path(snakemake.input.window), map(Path, snakemake.input.targets), config
        )
        domains = read_tables(map(Path, snakemake.input.domains), ".domains.tsv")
        figure = enrichment.draw(domains, choice, planted(config))
        outputs = snakemake.output
        style.save_figure(figure, Path(outputs.png), Path(outputs.svg))


main(snakemake)  # noqa: F821
