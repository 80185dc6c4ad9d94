"""The gradient of a target's probe with respect to its unit."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.gradients.files import write_probe_gradient
from headwater.gradients.probe import probe_gradient, warn_if_zero
from headwater.heads.probe_data import probe_data
from headwater.heads.targets import read_target
from headwater.identity import identity
from headwater.models.sections import unit_of
from headwater.probes import find_probe


def main(snakemake):
    with job.start(snakemake) as config:
        name = snakemake.wildcards.target
        target = read_target(Path(snakemake.input.target), config)
        model = load_model(Path(snakemake.input.checkpoint), config).to(job.device())
        held_out, tokenizer = snakemake.input.held_out, snakemake.input.tokenizer
        data = probe_data(config["targets"][name], held_out, tokenizer, config)
        unit = unit_of(target.unit, config)
        probe = find_probe(target.probe)
        gradient, value = probe_gradient(model, probe, unit, data)
        stamp = identity("probe", config, [name], target=name, unit=str(unit))
        write_probe_gradient(Path(snakemake.output[0]), gradient, value, stamp)
        job.logger.info("probe %s of %s: f = %.4f", target.probe, unit, value)
        warn_if_zero(gradient, name, unit)


main(snakemake)  # noqa: F821
