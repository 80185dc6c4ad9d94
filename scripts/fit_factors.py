"""Fit the factors of every head at one checkpoint of the window."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.corpus.holdout import token_counts
from headwater.curvature.ekfac import fit_factors, merge
from headwater.curvature.files import write_factors
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import read_window
from headwater.heads.window import WindowRows
from headwater.neox import geometry
from headwater.publish import stable_seed
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        settings, seed = config["curvature"], config["seed"]
        choice = read_window(Path(snakemake.input.window), config)
        rows = [Path(p) for p in snakemake.input.rows]
        window = WindowRows(rows, choice.window, config)
        generator = np.random.default_rng(stable_seed(seed, "curvature", "rows"))
        count = min(settings["rows"], len(window))
        picked = np.sort(generator.choice(len(window), count, replace=False))
        tokens = torch.from_numpy(window.take(picked))
        model = load_model(Path(snakemake.input.checkpoint), config).to(job.device())
        ids = len(token_counts(Path(snakemake.input.held_out), config))
        every = geometry(model).all_heads()
        # The released code cuts other heads off: each head index is its own pass.
        cuts = range(geometry(model).heads) if config["as_released"] else [None]
        parts, known = [], {}
        for cut in cuts:
            options = PassOptions(
                batch_size=settings["batch_size"],
                seed=stable_seed(seed, "curvature", "labels"),
                vocabulary=ids,
                only_head=cut,
                numbers=window.numbers(picked),
            )
            heads = [head for head in every if cut is None or head.index == cut]
            part = fit_factors(
                model, tokens, heads, "qkvo", options, settings["hessian"], known
            )
            parts.append(part)
            known |= part.bases
        stamp = identity("curvature", config, point=snakemake.wildcards.point)
        write_factors(Path(snakemake.output[0]), merge(parts), stamp)


main(snakemake)  # noqa: F821
