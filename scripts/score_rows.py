"""A signed influence score for every row of a shard, from the gradient stores."""

from pathlib import Path

from headwater import job
from headwater.corpus.window import WindowNumbers
from headwater.heads.targets import read_window
from headwater.identity import identity
from headwater.influence.average import PointScores, within
from headwater.influence.files import read_product, write_scores
from headwater.influence.scores import score_store
from headwater.projection.store import UnitRows, check_rows, row_losses
from headwater.shares import share_of
from headwater.stores import open_group


def main(snakemake):
    with job.start(snakemake) as config:
        target, shard = snakemake.wildcards.target, snakemake.wildcards.shard
        inputs = snakemake.input
        choice = read_window(Path(inputs.window), config)
        window = WindowNumbers(choice.window, config)
        part = share_of(len(window), config["gradients"]["shards"], int(shard))
        found = PointScores(len(part), 1, len(choice.points))
        points = zip(
            choice.points,
            inputs.gradients,
            inputs.products,
            strict=True,
        )
        for point, (step, gradients, path) in enumerate(points):
            product = read_product(Path(path), config)
            store = open_group(Path(gradients), config)
            check_rows(store, window.after(step, part))
            head_rows = UnitRows(store, str(product.unit))
            found.add(
                point,
                within(window.after(step, part), part),
                score_store(head_rows, [product.vector]),
                row_losses(store),
            )
        stamp = identity("influence", config, [target], shard=shard, target=target)
        scores = found.scores[:, 0]
        write_scores(Path(snakemake.output[0]), part.start, scores, found.losses, stamp)


main(snakemake)  # noqa: F821
