"""Compare the scores of all rows with exact ones on a sample.

Exact are those of the same factors: what is measured is the store, not EK-FAC.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.influence.average import PointScores, mean_scores
from headwater.influence.files import read_mda, read_point_factors, read_product
from headwater.influence.ranking import (
    FIDELITY_TOPS,
    agreement,
    three_digits,
    top_agreement,
)
from headwater.influence.scores import stream_scores
from headwater.seeds import stable_seed
from headwater.tables import write_table


def exact_scores(snakemake, config, window, points, sample):
    """Scores of the sampled rows at every point."""
    inputs, targets = snakemake.input, snakemake.params.targets
    found = PointScores(len(sample), len(targets), len(points))
    for position, step in enumerate(points):
        after = np.flatnonzero(window.is_after(step, sample))
        paths = inputs.products[position :: len(points)]
        options = PassOptions(
            config["gradients"]["batch_size"], numbers=window.numbers(sample[after])
        )
        scores, _ = stream_scores(
            load_for_pass(Path(inputs.checkpoints[position]), config, job.device()),
            torch.from_numpy(window.take(sample[after])),
            read_factors(Path(inputs.factors[position]), config),
            [read_product(Path(p), config) for p in paths],
            options,
        )
        found.add(position, after, scores)
    return found.scores


def measures(stored, exact):
    """The fidelity of one target, by column; tops in per cent."""
    found = {"spearman": agreement(stored, exact)[0]}
    for name, fraction in FIDELITY_TOPS.items():
        values = top_agreement(stored, exact, fraction)
        labels = (f"{what}_{name}" for what in ("overlap", "ratio", "sign"))
        found |= dict(zip(labels, values, strict=True))
    return found


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        generator = np.random.default_rng(stable_seed(config["seed"], "fidelity"))
        sample = window.sample(config["influence"]["fidelity_rows"], generator)
        exact = exact_scores(snakemake, config, window, choice.points, sample)
        lines, samples = [], []
        for position, target in enumerate(snakemake.params.targets):
            path = Path(inputs.scores[position])
            stored = read_mda(path, config)[sample]
            own = mean_scores(exact[:, position], read_point_factors(path, config))
            found = measures(stored, own)
            both = {"row": sample + window.first, "stored": stored, "exact": own}
            samples.append(pd.DataFrame({"target": target, **both}))
            lines.append({"target": target, "rows": len(sample), **found})
            job.logger.info(
                "%s: scores against exact ones on %d rows: %s",
                target,
                len(sample),
                ", ".join(f"{k} {three_digits(v)}" for k, v in found.items()),
            )
        write_table(Path(snakemake.output.sample), pd.concat(samples))
        write_table(Path(snakemake.output.table), pd.DataFrame(lines))


main(snakemake)  # noqa: F821
