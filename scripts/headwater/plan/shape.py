"""Arithmetic of an experiment: its model, its window, the units that are stored."""

from collections.abc import Mapping
from typing import Any

from headwater.checkpoints.needs import vocabulary
from headwater.models.sections import (
    asked,
    attention_parameters,
    geometry_of,
    mlp_parameters,
    unit_of,
    units_meant,
)
from headwater.plan.ranges import Range

Config = Mapping[str, Any]

FLOAT, DOUBLE = 4, 8  # bytes


def forward_operations(config: Config, tokens: int) -> float:
    """Floating-point operations of the forward pass of one row of `tokens` tokens.

    Two a weight and token in the layers and the unembedding, and four a position,
    token and width in the attention (half of them masked, but computed).
    """
    model = config["model"]
    sizes = geometry_of(model)
    width, queries = sizes.hidden, sizes.heads * sizes.d_head
    weights = attention_parameters(model) + mlp_parameters(model)
    layer = 2 * weights + 4 * tokens * queries
    return float(tokens * (sizes.layers * layer + 2 * vocabulary(config) * width))


def unit_parameters(config: Config) -> int:
    """Parameters of the largest unit whose gradients are taken, under `gradients.mode`.

    A head counts with the K and V that it shares.
    """
    labels = _known(config)
    if config["gradients"]["units"] == "targets" and _chosen_later(config):
        labels = [*labels, "L0H0"]
    return max(unit_of(label, config).size for label in labels)


def stored_units(config: Config) -> Range:
    """How many units the gradient stores hold; targets may turn out to share one."""
    known = len(_known(config))
    if config["gradients"]["units"] != "targets":
        return Range.exactly(known)
    return Range(max(1, known), known + _chosen_later(config))


def _chosen_later(config: Config) -> int:
    return [asked(target) for target in config["targets"].values()].count("auto")


def _known(config: Config) -> list[str]:
    """Labels of the units that are stored, without those chosen later."""
    wanted = config["gradients"]["units"]
    if wanted != "targets":
        return units_meant(wanted, config)
    named = (asked(target) for target in config["targets"].values())
    return list(dict.fromkeys(label for label in named if label != "auto"))


def coded_bytes(config: Config) -> int:
    """Bytes of one coded row of one unit; all are padded to the largest."""
    bits = int(config["gradients"]["bits"])
    return -(-kept_coordinates(config) // 64) * 64 * bits // 8


def kept_coordinates(config: Config) -> int:
    """Coordinates of a unit's gradient that are stored."""
    count, most = config["gradients"]["coordinates"], unit_parameters(config)
    return most if count == "all" else min(most, int(count))
