"""Fetch one file of text: from its address, or the part of a data set that is its."""

from pathlib import Path

from headwater import job
from headwater.corpus.sources import find, text_section


def main(snakemake):
    with job.start(snakemake) as config:
        source = find(text_section(config["corpus"]))
        target, name = Path(snakemake.output[0]), snakemake.wildcards.source
        source.fetch(target, name, snakemake.params.origin, None)


main(snakemake)  # noqa: F821
