"""Write one shard of the rows in training order."""

from pathlib import Path

from headwater import job
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.corpus.ordering import PackedOrder, order_rows
from headwater.corpus.sources import needs_of, source_of
from headwater.corpus.tokenrows import SourceOrder
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        corpus, shard = config["corpus"], int(snakemake.wildcards.shard)
        packed = [Path(p) for p in snakemake.input.packed]
        source = [Path(p) for p in snakemake.input.source]
        encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
        if source:
            needs = needs_of(config, encoder.vocabulary)
            rows = source_of(corpus).open(source, corpus, needs)
            order = SourceOrder(rows, encoder, needs)
        else:
            text = Collection(packed, config, "train")
            order = PackedOrder(text, encoder, config)
        order_rows(
            Path(snakemake.output[0]),
            shard,
            corpus["row_shards"],
            order,
            encoder.vocabulary,
            identity("corpus", config, part="order", shard=shard, rows=order.rows),
        )


main(snakemake)  # noqa: F821
