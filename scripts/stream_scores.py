"""Exact scores of every row of a shard for all targets, in one pass a checkpoint."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.influence.average import PointScores, within
from headwater.influence.files import read_product, write_scores
from headwater.influence.scores import stream_scores
from headwater.shares import share_of


def main(snakemake):
    with job.start(snakemake) as config:
        settings, shard = config["gradients"], snakemake.wildcards.shard
        inputs = snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        part = share_of(len(window), settings["shards"], int(shard))
        targets, precision = snakemake.params.targets, settings["precision"]
        found = PointScores(len(part), len(targets), len(choice.points))
        for position, step in enumerate(choice.points):
            after = window.after(step, part)
            paths = inputs.products[position :: len(choice.points)]
            folder = Path(inputs.checkpoints[position])
            options = PassOptions(settings["batch_size"], numbers=window.numbers(after))
            scores, losses = stream_scores(
                load_for_pass(folder, config, job.device(), precision),
                window.part(after),
                read_factors(Path(inputs.factors[position]), config),
                [read_product(Path(p), config) for p in paths],
                options,
            )
            found.add(position, within(after, part), scores, losses)
        for column, (target, path) in enumerate(
            zip(targets, snakemake.output, strict=True)
        ):
            stamp = identity("influence", config, [target], shard=shard, target=target)
            own = found.scores[:, column]
            write_scores(Path(path), part.start, own, found.losses, stamp)


main(snakemake)  # noqa: F821
