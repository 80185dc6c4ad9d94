"""The gradient of a target's probe with respect to its head."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.geometry import Head
from headwater.gradients.probe import probe_gradient
from headwater.hdf5 import publish_hdf5
from headwater.heads.sequences import load_probe_vocabulary, repeated_sequences
from headwater.heads.targets import read_choice
from headwater.probes import PROBES
from headwater.publish import stable_seed
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        name, settings = snakemake.wildcards.target, config["gradients"]
        target = read_choice(Path(snakemake.input.targets), config).targets[name]
        sequences = repeated_sequences(
            settings["probe_sequences"],
            config["heads"]["half_length"],
            load_probe_vocabulary(
                Path(snakemake.input.held_out),
                Path(snakemake.input.tokenizer),
                config,
            ),
            stable_seed(config["seed"], "probe", target.probe),
        ).to(job.device())
        model = load_model(Path(snakemake.input.checkpoint), config).to(job.device())
        head, probe = Head.parse(target.head), PROBES[target.probe]
        gradient, value = probe_gradient(
            model, probe, head, sequences, settings["mode"]
        )
        stamp = identity("gradients", config, target=name, head=target.head)
        with publish_hdf5(Path(snakemake.output[0]), stamp, value=value) as file:
            for block, matrix in gradient.items():
                file[block] = matrix.numpy()
        job.logger.info("probe %s of %s: f = %.4f", target.probe, head, value)


main(snakemake)  # noqa: F821
