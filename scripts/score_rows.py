"""A signed influence score for every row of a shard and every target."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.curvature.files import read_factors
from headwater.heads.targets import read_choice
from headwater.heads.window import WindowRows
from headwater.influence.files import read_product
from headwater.influence.scores import score_store, stream_scores
from headwater.publish import publish_folder
from headwater.shards import shard_range
from headwater.stages import identity
from headwater.stores import create_group, open_group, read, write_array


def main(snakemake):
    with job.start(snakemake) as config:
        shard = snakemake.wildcards.shard
        products = [read_product(Path(p), config) for p in snakemake.input.products]
        choice = read_choice(Path(snakemake.input.targets), config)
        window = WindowRows([Path(p) for p in snakemake.input.rows], choice, config)
        part = shard_range(len(window), config["gradients"]["shards"], int(shard))
        if config["influence"]["method"] == "projected":
            store = open_group(Path(snakemake.input.gradients), config)
            columns = [score_store(store, product) for product in products]
            scores, losses = np.stack(columns, axis=1), read(store, "losses")
        else:
            model = load_model(Path(snakemake.input.checkpoint), config)
            scores, losses = stream_scores(
                model.to(job.device()),
                window.part(part),
                read_factors(Path(snakemake.input.factors), config),
                products,
                config["gradients"]["mode"],
                config["gradients"]["batch_size"],
            )
        stamp = identity("influence", config, shard=shard)
        names = [product.target for product in products]
        with publish_folder(Path(snakemake.output[0]), stamp) as folder:
            group = create_group(folder, stamp, first_row=part.start, targets=names)
            write_array(group, "scores", scores)
            write_array(group, "losses", losses)


main(snakemake)  # noqa: F821
