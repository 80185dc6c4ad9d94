"""Write the held-out rows, the token counts and the summary of the corpus."""

from pathlib import Path

from headwater import job
from headwater.corpus import holdout, ordering
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.identity import identity
from headwater.publish import write_json


def main(snakemake):
    with job.start(snakemake) as config:
        packed = [Path(p) for p in snakemake.input.packed]
        train = Collection(packed, config, "train")
        held_out = Collection(packed, config, "held_out")
        encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
        settings = holdout.HoldOutSettings(
            config["corpus"]["held_out"]["rows_per_domain"],
            ordering.settings_of(config),
        )
        stamp = identity("corpus", config, part="held_out", rows=settings.order.rows)
        target = Path(snakemake.output.held_out)
        counts = train.token_counts
        holdout.hold_out(target, held_out, encoder, settings, stamp, counts)
        summary = holdout.summarize(train, held_out, encoder, settings)
        write_json(Path(snakemake.output.summary), summary)


main(snakemake)  # noqa: F821
