"""Fetch one shard of text from its address."""

from pathlib import Path

from headwater import job
from headwater.corpus.textfetch import fetch_shard


def main(snakemake):
    with job.start(snakemake):
        fetch_shard(Path(snakemake.output[0]), snakemake.params.place)


main(snakemake)  # noqa: F821
