"""Llama and its kin: separate Q, K and V, whose heads may share K and V in groups.

Qwen3 norms every query and key by itself, OLMo-2 all heads' together. Gradients are
taken before those norms: they are exact for the head's own rows of the projections, but
under OLMo-2's norm other heads' terms are in them (docs/numerics.md).
"""

from functools import partial
from typing import Any

from headwater.models.base import Architecture, Found, Shape
from headwater.units import ATTENTION, MLP

FULL, KV = "full_attention", "num_key_value_heads"


def _refuse(found: Found) -> str | None:
    layers = found.get("layer_types") or []
    odd = [name for name in layers if name != FULL]
    if odd:
        return f"layers of {odd[0]!r}; only full attention is supported"
    sliding = found.get("sliding_window")
    if sliding is not None and found.get("use_sliding_window", True):
        return f"sliding_window is {sliding!r}; only full attention is supported"
    return None


def _settings(section: Found) -> dict[str, Any]:
    theta = section.get("rotary_emb_base", 10_000)
    return {
        "num_key_value_heads": section.get(KV, section["num_attention_heads"]),
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        **({"head_dim": section["head_dim"]} if "head_dim" in section else {}),
    }


def _qwen3_settings(section: Found) -> dict[str, Any]:
    width = section["hidden_size"] // section["num_attention_heads"]
    return {"head_dim": width, **_settings(section)}  # else its class takes 128


def _mistral_settings(section: Found) -> dict[str, Any]:
    return {**_qwen3_settings(section), "sliding_window": None}


def _qwen2_vectors(shape: Shape) -> int:
    return 2 * shape.hidden + shape.queries + 2 * shape.keys


def _qwen3_vectors(shape: Shape) -> int:
    return 2 * shape.hidden + 2 * shape.head


def _olmo2_vectors(shape: Shape) -> int:
    return 2 * shape.hidden + shape.queries + shape.keys


_kin = partial(
    Architecture,
    layers="layers",
    attention="self_attn",
    reads=("q_proj", "k_proj", "v_proj"),
    writes="o_proj",
    mlp_reads=("gate_proj", "up_proj"),
    mlp_writes="down_proj",
    final_norm="norm",
    buffers=("rotary_emb.inv_freq",),
    refuse=_refuse,
    keys=(KV, "head_dim", "rotary_emb_base"),
)

ARCHITECTURES = (
    _kin("llama", "Llama", "Llama", settings=_settings),
    _kin("qwen2", "Qwen2", "Qwen2", settings=_settings, vectors=_qwen2_vectors),
    _kin("qwen3", "Qwen3", "Qwen3", settings=_qwen3_settings, vectors=_qwen3_vectors),
    _kin(
        "olmo2",
        "OLMo-2",
        "Olmo2",
        settings=_settings,
        vectors=_olmo2_vectors,
        norms_after={
            ATTENTION: "post_attention_layernorm",
            MLP: "post_feedforward_layernorm",
        },
    ),
    _kin("mistral", "Mistral", "Mistral", settings=_mistral_settings),
)
