"""Whether a model's `config.json` fits the experiment. Read while rules are parsed."""

from collections.abc import Mapping
from typing import Any

from headwater.checkpoints.settings import settings_problem

MODEL_TYPE = "gpt_neox"
NEW_MODELS_ONLY = ("init", "initializer_range")
# Where `transformers` writes them since version 5, in `rope_parameters`.
ROPE = {"rotary_pct": "partial_rotary_factor", "rotary_emb_base": "rope_theta"}

Config = Mapping[str, Any]


def shape_problem(found: Mapping[str, Any], config: Config) -> str | None:
    """The first thing in which a model and the config differ, in one line.

    Args:
        found: what `config.json` says. A key that it leaves out is not looked at.
    """
    return (
        model_problem(found)
        or positions_problem(found, config["corpus"]["seq_len"])
        or _difference(found, config["model"])
        or _tied(found)
    )


def model_problem(found: Mapping[str, Any]) -> str | None:
    """Refuse a model that is no GPT-NeoX, or has settings that cannot be used."""
    kind = found.get("model_type")
    if kind == MODEL_TYPE:
        return settings_problem(found)
    return (
        f"a model of type {kind!r}; Headwater supports GPT-NeoX models only "
        f"(type {MODEL_TYPE!r}, such as Pythia)"
    )


def positions_problem(found: Mapping[str, Any], length: int) -> str | None:
    """Refuse rows of `length` tokens, longer than the model's positions."""
    positions = found.get("max_position_embeddings")
    if not isinstance(positions, int) or length <= positions:
        return None
    return (
        f"the model has {positions} positions, corpus.seq_len is {length}; lower "
        f"corpus.seq_len to {positions} or less"
    )


def _difference(found: Mapping[str, Any], model: Mapping[str, Any]) -> str | None:
    rope = found.get("rope_parameters")
    rope = rope if isinstance(rope, dict) else {}
    names = {name: key for name, key in ROPE.items() if rope.get(key) is not None}
    shape = {**found, **{name: rope[key] for name, key in names.items()}}
    for key, value in model.items():
        if key not in NEW_MODELS_ONLY and shape.get(key, value) != value:
            return (
                f"{key} is {shape[key]!r} in this model, model.{key} is {value!r} in "
                "the config; change the config"
            )
    return None


def _tied(found: Mapping[str, Any]) -> str | None:
    tied = found.get("tie_word_embeddings", False)
    return "tied embeddings are not supported" if tied else None
