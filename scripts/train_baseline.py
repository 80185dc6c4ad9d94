"""Train the baseline run and publish its checkpoints."""

from pathlib import Path

import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.checkpoints.run import Run, new_model, recipe_of, train_run
from headwater.checkpoints.schedule import checkpoint_steps
from headwater.corpus.encoding import Encoder
from headwater.corpus.rows import Rows
from headwater.publish import (
    discard_work,
    publish_links,
    stable_seed,
    work_folder,
)
from headwater.stages import identity


def start_model(inputs, config):
    """The published model to start from, or a new one."""
    if inputs.start:
        return load_model(Path(inputs.start[0]), config)
    encoder = Encoder.open(Path(inputs.tokenizer), config)
    return new_model(config, encoder.vocabulary, stable_seed(config["seed"], "model"))


def main(snakemake):
    with job.start(snakemake) as config:
        training = config["training"]
        job.fix_threads(training["threads"])
        rows = Rows([Path(p) for p in snakemake.input.rows], config)
        size = training["batch_size"]
        ones = torch.ones(size)
        schedule = checkpoint_steps(training["steps"], training["checkpoint_every"])
        stamp = identity("checkpoints", config)
        folder = Path(snakemake.output[0]).parent
        model = start_model(snakemake.input, config)

        def batch(step):
            tokens = rows.tokens(step * size, (step + 1) * size)
            return torch.from_numpy(tokens), ones

        with work_folder(folder / "baseline", stamp) as part:
            run = Run("baseline", part, schedule, True, stamp, str(job.device()))
            train_run(run, model, recipe_of(config), batch, config)
            for step in schedule:
                publish_links(part / f"step{step}", folder / f"step{step}")
            discard_work(folder / "baseline")


main(snakemake)  # noqa: F821
