"""Projected gradients of every row of a shard, for all heads wanted, in one pass."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.geometry import Head
from headwater.gradients.blocks import blocks_of
from headwater.gradients.files import read_probe_gradient
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window, read_target
from headwater.identity import identity
from headwater.models.sites import geometry
from headwater.progress import Progress
from headwater.projection.coordinates import (
    Projection,
    all_coordinates,
    choose_coordinates,
)
from headwater.projection.writer import GradientWriter, fill_store
from headwater.publish import publish_folder
from headwater.seeds import stable_seed
from headwater.shares import share_of


def wanted_heads(settings, targets, model):
    """The heads of `gradients.heads`."""
    if settings["heads"] == "all":
        return geometry(model).all_heads()
    labels = settings["heads"]
    if labels == "targets":
        labels = [target.head for target in targets]
    return sorted({Head.parse(label) for label in labels})


def projections(snakemake, config, heads, mode):
    """What is stored of each head."""
    settings = config["gradients"]
    seed = stable_seed(config["seed"], "gradients", "rotation")
    factors = read_factors(Path(snakemake.input.factors), config)
    probes = [read_probe_gradient(Path(p), config) for p in snakemake.input.probes]
    kept = {}
    for head in heads:
        blocks, count = blocks_of([head], mode), settings["coordinates"]
        own = [probe.gradient for probe in probes if probe.head == head]
        kept[head] = (
            all_coordinates(factors, blocks)
            if count == "all"
            else choose_coordinates(factors, blocks, own, count)
        )
    made = {h: Projection(k, settings["bits"], seed) for h, k in kept.items()}
    return factors.bases, made


def main(snakemake):
    with job.start(snakemake) as config:
        settings, shard = config["gradients"], snakemake.wildcards.shard
        inputs = snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        step = choice.points[snakemake.params.position]
        part = share_of(len(window), settings["shards"], int(shard))
        part = window.after(step, part)
        targets = [read_target(Path(p), config) for p in inputs.targets]
        folder = Path(inputs.checkpoint)
        model = load_for_pass(folder, config, job.device(), settings["precision"])
        heads, mode = wanted_heads(settings, targets, model), settings["mode"]
        bases, kept = projections(snakemake, config, heads, mode)
        point = snakemake.wildcards.point
        names = config["targets"] if settings["heads"] == "targets" else []
        stamp = identity("gradients", config, names, shard=shard, point=point)
        label, size = f"gradients {point} {shard}", settings["batch_size"]
        begun_with = {**stamp, "made_of": snakemake.made_of}
        with publish_folder(Path(snakemake.output[0]), begun_with) as target:
            writer = GradientWriter(target, stamp, part.start, len(part), kept)
            done = writer.resume(size)
            rest = part[done:]
            progress = Progress(label, len(part), "rows", done=done)
            fill_store(
                writer,
                model,
                window.part(rest),
                bases,
                mode,
                PassOptions(size, numbers=window.numbers(rest)),
                progress.update,
            )


main(snakemake)  # noqa: F821
