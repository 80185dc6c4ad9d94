"""What the tokens of every row of the window say of it, for arms that pick by that."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.measures import batches, own_tokens, repetition


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        count = len(window)
        facts = {"repetition": np.empty(count), "length": np.empty(count)}
        for part in batches(count, window.rows.width):
            tokens = window.tokens(range(part.start, part.stop))
            longest = window.rows.longest_spans(
                window.first + part.start, window.first + part.stop
            )
            facts["repetition"][part] = repetition(tokens)
            facts["length"][part] = own_tokens(tokens, longest)
        stamp = identity("window", config, facts=list(facts))
        write_facts(Path(snakemake.output[0]), facts, stamp)


main(snakemake)  # noqa: F821
