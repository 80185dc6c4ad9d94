"""Write one shard of the rows in training order."""

from pathlib import Path

from headwater import job
from headwater.corpus import ordering
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        shard = int(snakemake.wildcards.shard)
        settings = ordering.settings_of(config)
        ordering.order_rows(
            Path(snakemake.output[0]),
            shard,
            config["corpus"]["row_shards"],
            Collection([Path(p) for p in snakemake.input.packed], config, "train"),
            Encoder.open(Path(snakemake.input.tokenizer), config),
            settings,
            identity("corpus", config, part="order", shard=shard, rows=settings.rows),
        )


main(snakemake)  # noqa: F821
