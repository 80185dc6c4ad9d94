"""Compare stored scores with exact ones on a sample of the window's rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.curvature.files import read_factors
from headwater.heads.targets import read_choice
from headwater.heads.window import WindowRows
from headwater.influence.fidelity import agreement
from headwater.influence.files import read_product, read_scores
from headwater.influence.scores import stream_scores
from headwater.publish import stable_seed, write_text


def main(snakemake):
    with job.start(snakemake) as config:
        choice = read_choice(Path(snakemake.input.targets), config)
        window = WindowRows([Path(p) for p in snakemake.input.rows], choice, config)
        generator = np.random.default_rng(stable_seed(config["seed"], "fidelity"))
        count = min(config["influence"]["fidelity_rows"], len(window))
        sample = np.sort(generator.choice(len(window), count, replace=False))
        products = [read_product(Path(p), config) for p in snakemake.input.products]
        exact, _ = stream_scores(
            load_model(Path(snakemake.input.checkpoint), config).to(job.device()),
            torch.from_numpy(window.take(sample)),
            read_factors(Path(snakemake.input.factors), config),
            products,
            config["gradients"]["mode"],
            config["gradients"]["batch_size"],
        )
        lines = []
        shards = [Path(p) for p in snakemake.input.scores]
        for product, column in zip(products, exact.T, strict=True):
            stored = read_scores(shards, product.target, config)[sample]
            spearman, overlap = agreement(stored, column)
            lines.append((product.target, count, spearman, overlap))
            job.logger.info(
                "%s: stored against exact scores on %d rows: Spearman %.4f, "
                "overlap of the top 10 %% %.3f",
                *lines[-1],
            )
        table = pd.DataFrame(lines, columns=["target", "rows", "spearman", "overlap"])
        write_text(Path(snakemake.output[0]), table.to_csv(sep="\t", index=False))


main(snakemake)  # noqa: F821
