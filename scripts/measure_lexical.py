"""How much every row of the window is like the rows of a target's probe, in words."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.heads.probe_data import probe_data
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.lexical import Question, bm25


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, target = snakemake.input, snakemake.wildcards.target
        _, window = open_window(inputs.window, inputs.rows, config)
        settings = config["targets"][target]
        data = probe_data(settings, inputs.held_out, inputs.tokenizer, config)
        # Rows of a dataset are padded at their end with zeros.
        question = Question([np.trim_zeros(row, "b") for row in data.tokens.numpy()])
        scores = bm25(
            question,
            lambda part: window.tokens(range(part.start, part.stop)),
            len(window),
            window.rows.width,
        )
        stamp = identity("probe", config, [target], target=target)
        write_facts(Path(snakemake.output[0]), {"lexical": scores}, stamp)


main(snakemake)  # noqa: F821
