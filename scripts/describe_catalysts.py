"""What a target's rows of highest and of lowest score have in common."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.catalysts.enrichment import enrichment
from headwater.catalysts.files import read_looks
from headwater.catalysts.rows import ScoredRows
from headwater.catalysts.summary import about_rows
from headwater.heads.targets import open_window, read_target
from headwater.influence.files import read_losses, read_scores
from headwater.publish import write_json
from headwater.seeds import stable_seed
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, name = snakemake.input, snakemake.wildcards.target
        _, window = open_window(inputs.window, inputs.rows, config)
        target, scores = read_target(Path(inputs.target), config), [Path(inputs.scores)]
        rows = ScoredRows(
            scores=read_scores(scores, config).astype(np.float64),
            losses=read_losses(scores, config) / np.float64(window.rows.width - 1),
            domains=window.domains().astype(np.int64),
            names=window.rows.domain_names,
            looks=read_looks([Path(p) for p in inputs.features], config),
            seed=stable_seed(config["seed"], "catalysts", name),
        )
        table = enrichment(rows)
        steps = window.step_of(np.arange(len(window)))
        found = about_rows(rows, table, steps, target=name, unit=target.unit)
        write_table(Path(snakemake.output.table), table)
        write_json(Path(snakemake.output.json), found)


main(snakemake)  # noqa: F821
