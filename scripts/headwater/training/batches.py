"""The batches of a run: the rows in training order, or an arm's rows and weights."""

import numpy as np
import torch
from jaxtyping import Int64

from headwater.corpus.rows import Rows
from headwater.corpus.window import WindowRows
from headwater.interventions.files import ArmRows, FreshRows
from headwater.training.trainer import Batches, TokenRows, Weights


def baseline_batches(rows: Rows, size: int) -> Batches:
    """Training step to (rows, weights 1), `size` rows a step, in training order."""
    ones = torch.ones(size)

    def batch(step: int) -> tuple[TokenRows, Weights]:
        tokens = rows.tokens(step * size, (step + 1) * size)
        return torch.from_numpy(tokens), ones

    return batch


def arm_batches(
    window: WindowRows, arm: ArmRows, first_step: int, fresh: FreshRows | None = None
) -> Batches:
    """Training step to (rows, weights) for one arm of a window from `first_step` on.

    Args:
        fresh: the arm's rows that were written afresh, if any.
    """
    size = window.batch_size

    def batch(step: int) -> tuple[TokenRows, Weights]:
        positions = np.arange(size) + (step - first_step) * size
        rows = _tokens(arm.rows[positions], window, fresh)
        return torch.from_numpy(rows), torch.from_numpy(arm.weights[positions])

    return batch


def _tokens(
    numbers: Int64[np.ndarray, " rows"], window: WindowRows, fresh: FreshRows | None
) -> Int64[np.ndarray, "rows width"]:
    """Rows by number: the window's, and after its last those written afresh."""
    if fresh is None:
        return window.take(numbers)
    own = numbers < len(window)
    found = np.empty((len(numbers), window.rows.width), np.int64)
    found[own] = window.take(numbers[own])
    found[~own] = fresh.tokens[numbers[~own] - len(window)]
    return found
