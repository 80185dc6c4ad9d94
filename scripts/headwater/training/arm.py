"""One arm: the window trained again with the baseline's recipe and other rows.

The driver of a job imports this module, and torch is slow to import: what trains is
imported where it is used.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.checkpoints.schedule import RESUME, compared_steps
from headwater.locks import exclusive
from headwater.publish import part_of, publish_work
from headwater.training.spec import Spec

if TYPE_CHECKING:
    from headwater.training.ranks import Ranks


def train(spec: Spec, ranks: "Ranks", device: str) -> None:
    """Train the run of a specification in its work folder."""
    from headwater.heads.targets import open_window
    from headwater.interventions.files import read_arm, read_fresh
    from headwater.training.batches import arm_batches
    from headwater.training.run import Run, recipe_of, shared_work, train_run

    config, settings = spec.config, spec.config["retraining"]
    choice, window = open_window(spec.path("window"), spec.inputs["rows"], config)
    arm = read_arm(spec.path("arm"), config)
    with shared_work(Path(spec.target), spec.begun_with, ranks) as folder:
        run = Run(
            label="{arm} seed {draw}".format(**spec.options),
            folder=folder,
            schedule=compared_steps(choice.window, config),
            keep_optimizer=False,
            identity=spec.identity,
            device=device,
        )
        recipe = recipe_of(config, settings["divisor"])
        fresh = read_fresh(spec.path("arm"), config)
        batches = arm_batches(window, arm, choice.window.start, fresh)
        train_run(run, spec.path("checkpoint"), recipe, batches, config, ranks)


def publish(spec: Spec) -> None:
    """Publish the finished work folder."""
    target = Path(spec.target)
    with exclusive(target):
        shutil.rmtree(part_of(target) / RESUME, ignore_errors=True)
        publish_work(target)
