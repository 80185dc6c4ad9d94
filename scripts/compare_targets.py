"""The top rows of every two targets beside each other."""

from pathlib import Path

from headwater import job
from headwater.catalysts.targets import overlap
from headwater.influence.files import read_scores
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        scores = {
            Path(path).stem: read_scores([Path(path)], config)
            for path in snakemake.input.scores
        }
        write_table(Path(snakemake.output[0]), overlap(scores))


main(snakemake)  # noqa: F821
