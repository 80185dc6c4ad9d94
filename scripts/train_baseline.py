"""Train the baseline run and publish its checkpoints."""

from pathlib import Path

from headwater import job
from headwater.identity import identity
from headwater.training import baseline
from headwater.training.spec import Spec
from headwater.training_jobs.driver import drive


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        spec = Spec(
            module=baseline.__name__,
            name="baseline",
            target=str(Path(snakemake.output[0]).with_name("baseline")),
            log=str(snakemake.log[0]),
            threads=config["training"]["threads"],
            inputs={
                "start": list(inputs.start),
                "rows": list(inputs.rows),
                "tokenizer": [str(inputs.tokenizer)],
                "held_out": list(inputs.held_out),
            },
            config=config,
            identity=identity("checkpoints", config),
            made_of=snakemake.made_of,
            options={},
        )
        drive(spec, snakemake.resources, baseline.publish)


main(snakemake)  # noqa: F821
