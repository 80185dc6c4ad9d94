"""The batches of a run: the rows in training order, or an arm's rows and weights."""

import numpy as np
import torch

from headwater.corpus.rows import Rows
from headwater.corpus.window import WindowRows
from headwater.interventions.files import ArmRows
from headwater.training.trainer import Batches, TokenRows, Weights


def baseline_batches(rows: Rows, size: int) -> Batches:
    """Training step to (rows, weights 1), `size` rows a step, in training order."""
    ones = torch.ones(size)

    def batch(step: int) -> tuple[TokenRows, Weights]:
        tokens = rows.tokens(step * size, (step + 1) * size)
        return torch.from_numpy(tokens), ones

    return batch


def arm_batches(window: WindowRows, arm: ArmRows, first_step: int) -> Batches:
    """Training step to (rows, weights) for one arm of a window from `first_step` on."""
    size = window.batch_size

    def batch(step: int) -> tuple[TokenRows, Weights]:
        positions = np.arange(size) + (step - first_step) * size
        rows = window.take(arm.rows[positions])
        return torch.from_numpy(rows), torch.from_numpy(arm.weights[positions])

    return batch
