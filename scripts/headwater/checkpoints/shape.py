"""Whether a model's `config.json` fits the experiment. Read while rules are parsed."""

from collections.abc import Mapping
from typing import Any

from headwater.checkpoints.settings import settings_problem
from headwater.models import ARCHITECTURES
from headwater.models.sections import geometry_of, kind_of

NEW_MODELS_ONLY = ("init", "initializer_range", "architecture")
TIED = "tie_word_embeddings"
# Where `transformers` writes them since version 5, in `rope_parameters`.
ROPE = {"rotary_pct": "partial_rotary_factor", "rotary_emb_base": "rope_theta"}

Config = Mapping[str, Any]


def shape_problem(found: Mapping[str, Any], config: Config) -> str | None:
    """The first thing in which a model and the config differ, in one line.

    Args:
        found: what `config.json` says. A key that it leaves out is not looked at.
    """
    if wrong := model_problem(found):
        return wrong
    plain = ARCHITECTURES[found["model_type"]].plain(found)
    return positions_problem(plain, config["corpus"]["seq_len"]) or _difference(
        plain, config["model"]
    )


def model_problem(found: Mapping[str, Any]) -> str | None:
    """Refuse a model of an unknown type, or with settings that cannot be used."""
    kind = found.get("model_type")
    if isinstance(kind, str) and kind in ARCHITECTURES:
        own = ARCHITECTURES[kind]
        return settings_problem(own.plain(found)) or own.refuse(found)
    known = ", ".join(sorted(ARCHITECTURES))
    return f"a model of type {kind!r}; Headwater supports {known}"


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
    kind, wanted = found["model_type"], kind_of(model).model_type
    if kind != wanted:
        return (
            f"a model of type {kind!r}, model.architecture is {wanted!r} in the "
            "config; change the config"
        )
    tied = bool(found.get(TIED, False))
    if tied != model.get(TIED, False):
        said = str(tied).lower()
        return f"{TIED} is {said} in this model; write model.{TIED}: {said}"
    rope = found.get("rope_parameters")
    rope = rope if isinstance(rope, dict) else {}
    names = {name: key for name, key in ROPE.items() if rope.get(key) is not None}
    shape = {**found, **{name: rope[key] for name, key in names.items()}}
    sizes, keys = geometry_of(model), kind_of(model).keys
    shared = {"num_key_value_heads": sizes.groups, "head_dim": sizes.d_head}
    whole = {**model, **{key: shared[key] for key in shared if key in keys}}
    for key, value in whole.items():
        if key not in NEW_MODELS_ONLY and shape.get(key) not in (None, value):
            return (
                f"{key} is {shape[key]!r} in this model, model.{key} is {value!r} in "
                "the config; change the config"
            )
    return None
