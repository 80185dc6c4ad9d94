"""Turn one source into packed rows of tokens, held-out documents apart."""

from pathlib import Path

from headwater import job
from headwater.corpus import packing
from headwater.corpus.encoding import Encoder
from headwater.corpus.files import text_file
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        source = snakemake.wildcards.source
        packing.pack_source(
            Path(snakemake.output[0]),
            source,
            text_file(Path(snakemake.input.text)),
            Encoder.open(Path(snakemake.input.tokenizer), config),
            config,
            identity("corpus", config, part="packed", source=source),
            snakemake.params.all_held_out,
        )


main(snakemake)  # noqa: F821
