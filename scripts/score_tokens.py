"""Each token's part of the score of the rows a target shows, and what they write."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.corpus.encoding import Encoder
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.gradients.writes import TOKENS
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.average import PointScores, mean_scores
from headwater.influence.files import (
    read_point_factors,
    read_product,
    read_scores,
    write_tokens,
)
from headwater.influence.scores import token_facts
from headwater.influence.shown import shown_rows


def main(snakemake):
    with job.start(snakemake) as config:
        name, inputs = snakemake.wildcards.target, snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        kept = shown_rows(read_scores([Path(inputs.scores)], config), name, config).kept
        numbers = kept + window.first
        length = window.rows.width - 1
        found = PointScores(len(kept), length, len(choice.points))
        written = np.zeros((len(kept), 2, TOKENS), np.int64)
        ids = Encoder.open(Path(inputs.tokenizer), config).vocabulary
        for position in reversed(range(len(choice.points))):
            point = choice.points[position]
            after = np.flatnonzero(window.is_after(point, kept))
            if len(after) == 0:
                continue
            folder = Path(inputs.checkpoints[position])
            model = load_for_pass(folder, config, job.device())
            product = read_product(Path(inputs.products[position]), config)
            batch = config["gradients"]["batch_size"]
            options = PassOptions(batch, vocabulary=ids, numbers=numbers[after])
            factors = read_factors(Path(inputs.factors[position]), config)
            rows = window.pick(kept[after])
            scores, own = token_facts(model, rows, factors, product, options)
            found.add(position, after, scores)
            # Kept of the first checkpoint at which a row is scored.
            written[after] = own
        # On the scale of the row's own score, so that its tokens' parts add up to it.
        factors = read_point_factors(Path(inputs.scores), config)
        stamp = identity("influence", config, [name], target=name)
        parts = mean_scores(found.scores, factors)
        write_tokens(Path(snakemake.output[0]), numbers, parts, written, stamp)


main(snakemake)  # noqa: F821
