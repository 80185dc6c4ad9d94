"""Projected per-row gradients of the target heads, one store a shard."""

from collections import defaultdict
from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.curvature.files import read_factors
from headwater.gradients.blocks import blocks_of, rotate
from headwater.gradients.coordinates import choose_coordinates, project
from headwater.gradients.files import read_probe_gradient
from headwater.gradients.passes import sides_of_rows
from headwater.gradients.store import GradientWriter
from headwater.heads.targets import read_choice
from headwater.heads.window import WindowRows
from headwater.progress import Progress
from headwater.publish import publish_folder
from headwater.shards import shard_range
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        settings, shard = config["gradients"], snakemake.wildcards.shard
        choice = read_choice(Path(snakemake.input.targets), config)
        window = WindowRows([Path(p) for p in snakemake.input.rows], choice, config)
        part = shard_range(len(window), settings["shards"], int(shard))
        factors = read_factors(Path(snakemake.input.factors), config)
        probes = defaultdict(list)
        for path in snakemake.input.probes:
            probe = read_probe_gradient(Path(path), config)
            probes[probe.head].append(probe.gradient)
        count, blocks, kept = settings["coordinates"], {}, {}
        for head in sorted(probes):
            blocks[str(head)] = own = blocks_of([head], settings["mode"])
            kept[str(head)] = choose_coordinates(factors, own, probes[head], count)
        model = load_model(Path(snakemake.input.checkpoint), config).to(job.device())
        every = [block for own in blocks.values() for block in own]
        stamp = identity("gradients", config, shard=shard)
        progress = Progress(f"gradients {shard}", len(part), "rows")
        with publish_folder(Path(snakemake.output[0]), stamp) as folder:
            writer = GradientWriter(folder, stamp, part.start, len(part), kept)
            bases = None
            passes = sides_of_rows(
                model, window.part(part), every, settings["batch_size"]
            )
            for batch, sides, losses in passes:
                bases = bases or factors.bases_like(sides)
                rotated = rotate(sides, bases)
                writer.append(
                    {h: project(rotated, own, kept[h]) for h, own in blocks.items()},
                    losses,
                )
                progress.update(batch.stop - batch.start)
            writer.close()


main(snakemake)  # noqa: F821
