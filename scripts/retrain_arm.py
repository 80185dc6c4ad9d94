"""Retrain one arm from the window's start with the baseline's recipe."""

from headwater import job
from headwater.retraining import arm
from headwater.stages import arm_identity
from headwater.training_jobs.driver import drive
from headwater.training_jobs.spec import Spec


def main(snakemake):
    with job.start(snakemake) as config:
        name, draw = snakemake.wildcards.arm, int(snakemake.wildcards.draw)
        inputs = snakemake.input
        spec = Spec(
            module=arm.__name__,
            name=f"{name}-seed{draw}",
            target=str(snakemake.output[0]),
            log=str(snakemake.log[0]),
            threads=int(snakemake.threads),
            inputs={
                "plan": [str(inputs.plan)],
                "checkpoint": [str(inputs.checkpoint)],
                "window": [str(inputs.window)],
                "rows": list(inputs.rows),
            },
            config=config,
            identity=arm_identity("retraining", config, name, draw),
            options={"arm": name, "draw": draw},
        )
        drive(spec, snakemake.resources, arm.publish)


main(snakemake)  # noqa: F821
