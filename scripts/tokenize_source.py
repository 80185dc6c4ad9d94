"""Turn one source into packed rows of tokens, held-out documents apart."""

from pathlib import Path

from headwater import job, stages
from headwater.corpus import packing
from headwater.corpus.encoding import Encoder
from headwater.corpus.shards import shard_file


def main(snakemake):
    with job.start(snakemake) as config:
        source = snakemake.wildcards.source
        packing.pack_source(
            Path(snakemake.output[0]),
            source,
            shard_file(Path(snakemake.input.shard)),
            Encoder.open(Path(snakemake.input.tokenizer), config),
            packing.settings_of(config),
            stages.identity("corpus", config, part="packed", source=source),
        )


main(snakemake)  # noqa: F821
