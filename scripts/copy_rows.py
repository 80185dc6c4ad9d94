"""Write one shard of the rows in training order, from a source of token ids."""

from pathlib import Path

from headwater import job
from headwater.corpus import rowsource
from headwater.corpus.encoding import Encoder
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        shard = int(snakemake.wildcards.shard)
        plan = rowsource.needs_of(config)
        rowsource.copy_rows(
            Path(snakemake.output[0]),
            shard,
            config["corpus"]["row_shards"],
            rowsource.open_source([Path(p) for p in snakemake.input.source], config),
            Encoder.open(Path(snakemake.input.tokenizer), config),
            plan,
            identity("corpus", config, part="order", shard=shard, rows=plan.training),
        )


main(snakemake)  # noqa: F821
