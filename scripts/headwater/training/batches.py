"""The batches of an arm: the baseline's, with the plan's rows and weights."""

import numpy as np
import torch

from headwater.corpus.window import WindowRows
from headwater.interventions.arms import ArmRows
from headwater.training.trainer import Batches, Rows, Weights


def arm_batches(window: WindowRows, plan: ArmRows, first_step: int) -> Batches:
    """A function from training step to (rows, weights) for one arm.

    Args:
        plan: the row and weight of every position.
        first_step: the window's first step.
    """
    size = window.batch_size

    def batch(step: int) -> tuple[Rows, Weights]:
        positions = np.arange(size) + (step - first_step) * size
        rows = window.take(plan.rows[positions])
        return torch.from_numpy(rows), torch.from_numpy(plan.weights[positions])

    return batch
