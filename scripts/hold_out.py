"""Write the held-out rows, the token counts and the summary of the corpus."""

from pathlib import Path

from headwater import job
from headwater.corpus import holdout
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.corpus.ordering import PackedOrder
from headwater.corpus.sources import needs_of, source_of
from headwater.corpus.tokenrows import SourceOrder, read_shards
from headwater.identity import identity
from headwater.publish import write_json


def trained_on(snakemake, config, encoder):
    """Token counts, rows of each domain, and what the packed stores say."""
    if snakemake.input.rows:
        shards = [Path(p) for p in snakemake.input.rows]
        return *read_shards(shards, encoder, config), []
    packed = [Path(p) for p in snakemake.input.packed]
    text = Collection(packed, config, "train")
    order = PackedOrder(text, encoder, config)
    return text.token_counts, order.domain_rows, text.attributes


def held_out(snakemake, config, encoder):
    """The held-out rows, and what their sources and domains are called."""
    if snakemake.input.packed:
        packed = [Path(p) for p in snakemake.input.packed]
        text = Collection(packed, config, "held_out")
        return holdout.text_rows(text, encoder, config), text.names
    corpus, needs = config["corpus"], needs_of(config, encoder.vocabulary)
    paths = [Path(p) for p in snakemake.input.source]
    rows = SourceOrder(source_of(corpus).open(paths, corpus, needs), encoder, needs)
    return holdout.rows_after(rows, needs, config), rows.attributes


def main(snakemake):
    with job.start(snakemake) as config:
        encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
        counts, training, packed = trained_on(snakemake, config, encoder)
        target, rows = Path(snakemake.output.held_out), sum(training.values())
        stamp = identity("corpus", config, part="held_out", rows=rows)
        kept, names = held_out(snakemake, config, encoder)
        holdout.hold_out(target, kept, names, encoder, counts, stamp)
        summary = holdout.summarize(
            training, target, packed, encoder.vocabulary, config
        )
        write_json(Path(snakemake.output.summary), summary)


main(snakemake)  # noqa: F821
