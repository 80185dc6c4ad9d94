"""Arithmetic of an experiment: its model, its window, the heads that are stored."""

from collections.abc import Mapping
from typing import Any

from headwater.checkpoints.needs import vocabulary
from headwater.models.sections import attention_parameters, geometry_of, mlp_parameters
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


def head_parameters(config: Config) -> int:
    """Parameters of one head under `gradients.mode`, with the K and V it shares."""
    sizes, mode = geometry_of(config["model"]), config["gradients"]["mode"]
    return (4 if mode == "qkvo" else 2) * sizes.hidden * sizes.d_head


def all_heads(config: Config) -> int:
    """How many heads the model has."""
    model = config["model"]
    return int(model["num_hidden_layers"] * model["num_attention_heads"])


def stored_heads(config: Config) -> Range:
    """How many heads the gradient stores hold; targets may turn out to share one."""
    wanted = config["gradients"]["heads"]
    if wanted == "all":
        return Range.exactly(all_heads(config))
    if wanted != "targets":
        return Range.exactly(len(set(wanted)))
    named = [target["head"] for target in config["targets"].values()]
    known = {head for head in named if head != "auto"}
    unknown = min(named.count("auto"), all_heads(config) - len(known))
    return Range(max(1, len(known)), len(known) + unknown)


def coded_bytes(config: Config) -> int:
    """Bytes of one coded row of one head."""
    bits = int(config["gradients"]["bits"])
    return -(-kept_coordinates(config) // 64) * 64 * bits // 8


def kept_coordinates(config: Config) -> int:
    """Coordinates of a head's gradient that are stored."""
    count, most = config["gradients"]["coordinates"], head_parameters(config)
    return most if count == "all" else min(most, int(count))
