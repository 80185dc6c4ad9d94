"""Fetch the rows that the experiment needs from a source of token ids."""

from pathlib import Path

from headwater import job
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowfetch import fetch_rows
from headwater.corpus.rowsource import needs_of


def main(snakemake):
    with job.start(snakemake) as config:
        encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
        target = Path(snakemake.output[0])
        fetch_rows(target, config, needs_of(config), encoder.vocabulary)


main(snakemake)  # noqa: F821
