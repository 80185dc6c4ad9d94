"""How large a model is, and what jobs that hold one ask the cluster for.

Read while rules are parsed.
"""

from collections.abc import Mapping
from typing import Any

from headwater.models import sections
from headwater.steps import rows_of_steps

BASE_MB, BASE_MINUTES = 4000, 240
BYTES = 24  # a parameter: weight, gradient, two moments, and a copy while saving
OPERATIONS = 5e13  # a second: a cautious share of a GPU of 2020's


def vocabulary(config: Mapping[str, Any]) -> int:
    """Rows of the embedding; Pythia's, where the tokenizer is still to be fetched."""
    known = config["corpus"]["tokenizer"].get("vocab_size", 50304)
    return int(config["model"].get("vocab_size", known))


def parameters(config: Mapping[str, Any]) -> int:
    """All parameters of the model, biases and norms too."""
    positions = config["corpus"]["seq_len"]
    return sections.parameters(config["model"], vocabulary(config), positions)


def training_mb(config: Mapping[str, Any]) -> int:
    """Memory of a training job, MB."""
    return BASE_MB + BYTES * parameters(config) // 1_000_000


def training_minutes(config: Mapping[str, Any]) -> int:
    """Time limit of a training job, in minutes: as if it made all steps.

    Six operations a parameter and token, forward and backward. A job that ends at the
    limit goes on from its last checkpoint when it is started again.
    """
    return BASE_MINUTES + interval_minutes(config, config["training"]["steps"])


def interval_minutes(config: Mapping[str, Any], steps: int) -> int:
    """Minutes that some training steps take on a GPU, cautiously."""
    rows = rows_of_steps(config, steps)
    work = 6 * parameters(config) * rows * config["corpus"]["seq_len"]
    return int(work / OPERATIONS / 60)


def pass_mb(config: Mapping[str, Any], batch_size: int) -> int:
    """Memory of a job that passes rows through the model for all heads, MB.

    The flat gradients of a batch, three times (as computed, turned, in use), the
    model, and the factors of all heads in float64.
    """
    model = config["model"]
    sizes = sections.geometry_of(model)
    # Q, K, V and O of all heads; each has those of K and V that it shares.
    gradients = 4 * sizes.hidden * sizes.d_head * sizes.heads * sizes.layers
    numbers = 3 * 4 * batch_size * gradients + 4 * parameters(config) + 24 * gradients
    return BASE_MB + numbers // 1_000_000
