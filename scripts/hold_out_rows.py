"""Write the held-out rows, the token counts and the summary, for a source of rows."""

from pathlib import Path

from headwater import job
from headwater.corpus import holdout, ordering, rowholdout, rowsource
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.identity import identity
from headwater.publish import write_json


def main(snakemake):
    with job.start(snakemake) as config:
        plan = rowsource.needs_of(config)
        encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
        training = rowholdout.TrainingRows(
            [Path(p) for p in snakemake.input.rows], config
        )
        counts = training.token_counts
        rowholdout.warn_of_ends(counts, encoder)
        most = config["corpus"]["held_out"]["rows_per_domain"]
        stamp = identity("corpus", config, part="held_out", rows=plan.training)
        target = Path(snakemake.output.held_out)
        if snakemake.input.packed:
            packed = [Path(p) for p in snakemake.input.packed]
            text = Collection(packed, config, "held_out")
            settings = holdout.HoldOutSettings(most, ordering.settings_of(config))
            holdout.hold_out(target, text, encoder, settings, stamp, counts)
        else:
            paths = [Path(p) for p in snakemake.input.source]
            source = rowsource.open_source(paths, config)
            rowholdout.hold_out_after(
                target, source, encoder, plan, most, config["seed"], counts, stamp
            )
        summary = rowholdout.summarize(training, target, encoder, plan, config)
        write_json(Path(snakemake.output.summary), summary)


main(snakemake)  # noqa: F821
