"""The model that a config's section `model` asks for, before there is one.

Free of torch: read while rules are parsed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.geometry import Geometry
from headwater.models import ARCHITECTURES, Architecture
from headwater.models.base import Shape
from headwater.units import EVERY_HEAD, Unit, matching, parse

Section = Mapping[str, Any]
DEFAULT = "gpt_neox"
COMMON = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    "initializer_range",
)


def kind_of(section: Section) -> Architecture:
    """The architecture."""
    return ARCHITECTURES[section.get("architecture", DEFAULT)]


def geometry_of(section: Section) -> Geometry:
    """Sizes of its attention."""
    kind = kind_of(section)
    return Geometry(
        section["num_hidden_layers"],
        section["num_attention_heads"],
        section["hidden_size"],
        section.get("num_key_value_heads"),
        section.get("head_dim"),
        kind.by_head,
        section["intermediate_size"],
        len(kind.mlp_reads) > 1,
    )


def attention_parameters(section: Section) -> int:
    """Weights of Q, K, V and O in a layer; those of K and V once for each group."""
    sizes = geometry_of(section)
    return 2 * sizes.hidden * sizes.d_head * (sizes.heads + sizes.groups)


def mlp_parameters(section: Section) -> int:
    """Weights of the MLP of a layer."""
    maps = len(kind_of(section).mlp_reads) + 1
    return int(maps * section["hidden_size"] * section["intermediate_size"])


def parameters(section: Section, vocabulary: int, positions: int) -> int:
    """All parameters, biases and norms too."""
    kind, sizes, wide = (
        kind_of(section),
        geometry_of(section),
        section["intermediate_size"],
    )
    width, d_head = sizes.hidden, sizes.d_head
    shape = Shape(width, wide, d_head, sizes.heads * d_head, sizes.groups * d_head)
    layer = attention_parameters(section) + mlp_parameters(section)
    tables = vocabulary * (1 if section.get("tie_word_embeddings") else 2)
    tables += positions if kind.positions else 0
    norm = kind.norm * width
    return int(tables * width + sizes.layers * (layer + kind.vectors(shape)) + norm)


def settings(section: Section, vocabulary: int, positions: int) -> dict[str, Any]:
    """What the architecture's config class takes; without dropout."""
    kind = kind_of(section)
    common = {key: section[key] for key in COMMON if key in section}
    return {
        **common,
        "vocab_size": section.get("vocab_size", vocabulary),
        "max_position_embeddings": positions,
        "use_cache": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "tie_word_embeddings": section.get("tie_word_embeddings", False),
        **dict.fromkeys(kind.dropouts, 0.0),
        **kind.settings(section),
    }


def unit_of(label: str, config: Section) -> Unit:
    """The unit of a label, with the parameters that the config's mode counts.

    Raises:
        HeadwaterError: no label of a unit, or the model has none such.
    """
    return parse(label, geometry_of(config["model"]), config["gradients"]["mode"])


def asked(target: Section) -> str:
    """The unit that a target names, or `auto`."""
    return str(target.get("unit", target["head"]))


def named_units(config: Section) -> list[str]:
    """Labels of the units that the config names, and patterns of some; each once."""
    stored = config["gradients"]["units"]
    named = [label for t in config["targets"].values() if (label := asked(t)) != "auto"]
    return list(dict.fromkeys(named + (stored if isinstance(stored, list) else [])))


def units_meant(patterns: Iterable[str], config: Section) -> list[str]:
    """Labels that patterns stand for; each once."""
    sizes = geometry_of(config["model"])
    return list(dict.fromkeys(label for p in patterns for label in matching(p, sizes)))


def fitted_units(config: Section) -> list[Unit]:
    """Every head, and the other units that are named; under `qk` all of `qkvo`."""
    sizes, mode = geometry_of(config["model"]), config["gradients"]["mode"]
    labels = units_meant([EVERY_HEAD, *named_units(config)], config)
    return [parse(label, sizes, "qkvo" if mode == "qk" else mode) for label in labels]


def fitted_besides(config: Section) -> list[str]:
    """What factors are fitted of besides every head's parameters: other units, `qo`."""
    heads = set(units_meant([EVERY_HEAD], config))
    others = [
        p for p in named_units(config) if not heads.issuperset(units_meant([p], config))
    ]
    return others + ["qo"] * (config["gradients"]["mode"] == "qo")
