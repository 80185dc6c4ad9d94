"""Retrain one arm from the window's start with the baseline's recipe."""

import shutil
from pathlib import Path

from headwater import job
from headwater.checkpoints.run import RESUME, Run, recipe_of, train_run
from headwater.heads.window import open_window
from headwater.interventions.files import read_plan
from headwater.publish import publish_folder
from headwater.retraining.batches import arm_batches
from headwater.retraining.schedule import arm_schedule
from headwater.stages import arm_identity


def main(snakemake):
    with job.start(snakemake) as config:
        arm, draw = snakemake.wildcards.arm, int(snakemake.wildcards.draw)
        settings = config["retraining"]
        inputs = snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        plan = read_plan(Path(inputs.plan), config)
        start, end = choice.window.start, choice.window.end
        stamp = arm_identity("retraining", config, arm, draw)
        with publish_folder(Path(snakemake.output[0]), stamp) as folder:
            run = Run(
                label=f"{arm} seed {draw}",
                folder=folder,
                schedule=arm_schedule(start, end, settings["checkpoint_every"]),
                keep_optimizer=False,
                identity=stamp,
                device=str(job.device()),
            )
            train_run(
                run,
                Path(inputs.checkpoint),
                recipe_of(config, settings["divisor"]),
                arm_batches(window, plan, start),
                config,
            )
            shutil.rmtree(folder / RESUME)


main(snakemake)  # noqa: F821
