"""Fit the factors of every head, and of other units, at one point of the window."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.corpus.holdout import token_counts
from headwater.curvature.ekfac import fit_factors
from headwater.curvature.files import write_factors
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.models.sections import fitted_units
from headwater.seeds import stable_seed


def main(snakemake):
    with job.start(snakemake) as config:
        settings, seed = config["curvature"], config["seed"]
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        generator = np.random.default_rng(stable_seed(seed, "curvature", "rows"))
        picked = window.sample(settings["rows"], generator)
        tokens = torch.from_numpy(window.take(picked))
        model = load_model(Path(inputs.checkpoint), config).to(job.device())
        ids = len(token_counts(Path(inputs.held_out), config))
        options = PassOptions(
            batch_size=settings["batch_size"],
            seed=stable_seed(seed, "curvature", "labels"),
            vocabulary=ids,
            numbers=window.numbers(picked),
        )
        units = fitted_units(config)
        factors = fit_factors(model, tokens, units, options, settings["hessian"])
        stamp = identity("curvature", config, point=snakemake.wildcards.point)
        write_factors(Path(snakemake.output[0]), factors, stamp)


main(snakemake)  # noqa: F821
