"""Projected gradients of every row of a shard, for all units wanted, in one pass."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.files import read_factors
from headwater.gradients.files import read_probe_gradient
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window, read_target
from headwater.identity import identity
from headwater.models.sections import unit_of, units_meant
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


def wanted_units(targets, config):
    """The units of `gradients.units`."""
    labels = config["gradients"]["units"]
    if labels == "targets":
        labels = sorted({target.unit for target in targets})
    return [unit_of(label, config) for label in units_meant(labels, config)]


def projections(snakemake, config, units):
    """What is stored of each unit."""
    settings = config["gradients"]
    seed = stable_seed(config["seed"], "gradients", "rotation")
    factors = read_factors(Path(snakemake.input.factors), config)
    probes = [read_probe_gradient(Path(p), config) for p in snakemake.input.probes]
    kept = {}
    factors.check(block for unit in units for block in unit.blocks)
    for unit in units:
        count = settings["coordinates"]
        own = [probe.gradient for probe in probes if probe.unit == str(unit)]
        kept[unit] = (
            all_coordinates(factors, unit.blocks)
            if count == "all"
            else choose_coordinates(factors, unit.blocks, own, count)
        )
    made = {u: Projection(k, settings["bits"], seed) for u, k in kept.items()}
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
        bases, kept = projections(snakemake, config, wanted_units(targets, config))
        point = snakemake.wildcards.point
        names = config["targets"] if settings["units"] == "targets" else []
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
                PassOptions(size, numbers=window.numbers(rest)),
                progress.update,
            )


main(snakemake)  # noqa: F821
