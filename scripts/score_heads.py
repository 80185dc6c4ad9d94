"""Score every head at every checkpoint of the baseline."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.checkpoints.published import tell_equal_revisions
from headwater.heads.scores import head_scores, scores_table
from headwater.heads.sequences import CHOOSING, draw_sequences
from headwater.progress import Progress
from headwater.steps import step_numbers
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        checkpoints = step_numbers(Path(p) for p in snakemake.input.checkpoints)
        tell_equal_revisions(folder for _, folder in checkpoints)
        count, inputs = config["heads"]["sequences"], snakemake.input
        stores = Path(inputs.held_out), Path(inputs.tokenizer)
        sequences = draw_sequences(CHOOSING, count, *stores, config)
        progress = Progress("head scores", len(checkpoints), "checkpoints")
        tables = []
        for step, folder in checkpoints:
            model = load_model(folder, config)
            tables.append(scores_table(step, head_scores(model, sequences)))
            progress.update()
        table = pd.concat(tables, ignore_index=True)
        write_table(Path(snakemake.output[0]), table)


main(snakemake)  # noqa: F821
