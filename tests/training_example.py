"""A training run of a few small steps, for the jobs of test_training_jobs.py."""

import time
from pathlib import Path

import torch

from headwater.errors import HeadwaterError
from headwater.locks import exclusive
from headwater.publish import publish_work
from headwater.training.ranks import Ranks
from headwater.training.run import Run, shared_work, train_run
from headwater.training.spec import Spec
from test_checkpoints import CONFIG, RECIPE, batch, model_of_seed

SCHEDULE = [0, 5, 10]


def train(spec: Spec, ranks: Ranks, device: str) -> None:
    """Ten steps, with what `spec.options` says between them."""
    options = spec.options

    def watched(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if options.get("slow"):
            time.sleep(0.1)
        if step == options.get("fails_at"):
            raise HeadwaterError("a.zarr: row 7: broken; mend it")
        if step == 7 and options.get("waits_for"):
            while not Path(options["waits_for"]).exists():
                time.sleep(0.05)
        return batch(step)

    with shared_work(Path(spec.target), spec.begun_with, ranks) as part:
        run = Run("example", part, SCHEDULE, True, spec.identity, device)
        train_run(run, model_of_seed(), RECIPE, watched, CONFIG, ranks)


def publish(spec: Spec) -> None:
    """Publish the folder as it is."""
    target = Path(spec.target)
    with exclusive(target):
        publish_work(target)
