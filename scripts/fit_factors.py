"""Fit the EK-FAC factors of every head at the window's start."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.curvature.ekfac import fit_factors
from headwater.curvature.files import write_factors
from headwater.gradients.blocks import blocks_of
from headwater.heads.targets import read_choice
from headwater.heads.window import WindowRows
from headwater.neox import geometry
from headwater.publish import stable_seed
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        settings, seed = config["curvature"], config["seed"]
        choice = read_choice(Path(snakemake.input.targets), config)
        window = WindowRows([Path(p) for p in snakemake.input.rows], choice, config)
        generator = np.random.default_rng(stable_seed(seed, "curvature", "rows"))
        count = min(settings["rows"], len(window))
        picked = np.sort(generator.choice(len(window), count, replace=False))
        model = load_model(Path(snakemake.input.checkpoint), config).to(job.device())
        factors = fit_factors(
            model,
            torch.from_numpy(window.take(picked)),
            blocks_of(geometry(model).all_heads(), "qkvo"),
            batch_size=settings["batch_size"],
            seed=stable_seed(seed, "curvature", "labels"),
        )
        stamp = identity("curvature", config)
        write_factors(Path(snakemake.output[0]), factors, stamp)


main(snakemake)  # noqa: F821
