"""Each token's part of the score of a target's highest rows."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.average import PointScores, mean_scores
from headwater.influence.files import read_point_factors, read_product, write_tokens
from headwater.influence.scores import token_scores
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config:
        name, inputs = snakemake.wildcards.target, snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        ranked = read_table(Path(inputs.ranked))
        top = ranked.nsmallest(snakemake.params.rows, "rank")
        numbers = top["row"].to_numpy()
        tokens = torch.from_numpy(window.take(numbers - window.first))
        found = PointScores(len(top), tokens.shape[1] - 1, len(choice.points))
        for position, point in enumerate(choice.points):
            after = np.flatnonzero(window.is_after(point, numbers - window.first))
            if len(after) == 0:
                continue
            scores = token_scores(
                load_for_pass(Path(inputs.checkpoints[position]), config, job.device()),
                tokens[after],
                read_factors(Path(inputs.factors[position]), config),
                read_product(Path(inputs.products[position]), config),
                PassOptions(config["gradients"]["batch_size"], numbers=numbers[after]),
            )
            found.add(position, after, scores)
        # On the scale of the row's own score, so that its tokens' parts add up to it.
        factors = read_point_factors(Path(inputs.scores), config)
        stamp = identity("influence", config, [name], target=name)
        parts = mean_scores(found.scores, factors)
        write_tokens(Path(snakemake.output[0]), numbers, parts, stamp)


main(snakemake)  # noqa: F821
