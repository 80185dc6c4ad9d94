"""Retrain one arm from the window's start with the baseline's recipe."""

from headwater import job
from headwater.identity import arm_identity
from headwater.interventions.runs import run_name
from headwater.training import arm
from headwater.training.spec import Spec
from headwater.training_jobs.driver import drive


def main(snakemake):
    with job.start(snakemake) as config:
        name, draw = snakemake.wildcards.arm, int(snakemake.wildcards.draw)
        inputs = snakemake.input
        spec = Spec(
            module=arm.__name__,
            name=run_name(name, draw),
            target=str(snakemake.output[0]),
            log=str(snakemake.log[0]),
            threads=config["training"]["threads"],
            inputs={
                "arm": [str(inputs.arm)],
                "checkpoint": [str(inputs.checkpoint)],
                "window": [str(inputs.window)],
                "rows": list(inputs.rows),
            },
            config=config,
            identity=arm_identity("retraining", config, name, draw),
            made_of=snakemake.made_of,
            options={"arm": name, "draw": draw},
        )
        drive(spec, snakemake.resources, arm.publish)


main(snakemake)  # noqa: F821
