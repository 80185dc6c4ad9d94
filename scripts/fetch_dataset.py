"""Stream the documents of a data set that are one job's into a shard of text."""

from pathlib import Path

from headwater import job
from headwater.corpus.textfetch import fetch_dataset


def main(snakemake):
    with job.start(snakemake) as config:
        number = int(snakemake.wildcards.source.rsplit("-", 1)[-1])
        settings = config["corpus"]["dataset"]
        fetch_dataset(Path(snakemake.output[0]), settings, number)


main(snakemake)  # noqa: F821
