"""Fetch the rows that the experiment needs from a source of token ids."""

from pathlib import Path

from headwater import job
from headwater.corpus.encoding import Encoder
from headwater.corpus.sources import needs_of, source_of
from headwater.corpus.sources.base import ROWS


def main(snakemake):
    tokenizer = snakemake.input.tokenizer  # another one fetches no gigabytes again
    with job.start(snakemake, beside=[tokenizer]) as config:
        encoder = Encoder.open(Path(tokenizer), config)
        needs = needs_of(config, encoder.vocabulary)
        source, target = source_of(config["corpus"]), Path(snakemake.output[0])
        source.fetch(target, ROWS, snakemake.params.origin, needs)


main(snakemake)  # noqa: F821
