"""What every token's own loss adds to its row's score; the losses themselves."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.gradients.tangents import token_slopes
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.files import read_point_factors, read_product
from headwater.influence.scores import standard_basis
from headwater.interventions.facts import write_facts
from headwater.interventions.tokens import LOSS, SCORE
from headwater.progress import Progress


def main(snakemake):
    with job.start(snakemake) as config:
        name, inputs = snakemake.wildcards.target, snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        scale = read_point_factors(Path(inputs.scores), config)
        every = np.arange(len(window))
        scored = [every[window.is_after(step, every)] for step in choice.points]
        options = PassOptions(config["gradients"]["batch_size"])
        sums, losses = np.zeros((2, len(window), window.rows.width - 1), np.float32)
        progress = Progress("token losses", sum(map(len, scored)), "rows")
        for point, rows in enumerate(scored):
            folder = Path(inputs.checkpoints[point])
            model = load_for_pass(folder, config, job.device())
            product = read_product(Path(inputs.products[point]), config)
            factors = read_factors(Path(inputs.factors[point]), config)
            direction = standard_basis(factors, product.unit, product.vector)
            own = model, window.pick(rows), product.unit, direction, options
            for part, slopes, found in token_slopes(*own):
                sums[rows[part]] -= scale[point] * slopes.cpu().numpy()
                losses[rows[part]] = found.cpu().numpy()
                progress.update(len(found))
        # A mean over the points, as the row's own score is one.
        times = np.bincount(np.concatenate(scored), minlength=len(window))
        facts = {SCORE: sums / times[:, None], LOSS: losses}
        stamp = identity("influence", config, [name], target=name)
        write_facts(Path(snakemake.output[0]), facts, stamp)


main(snakemake)  # noqa: F821
