"""GPT-2: `c_attn` holds all Q, all K, then all V; weights are [inputs, outputs]."""

from typing import Any

from headwater.models.base import Architecture, Found, biased_vectors

ODD = ("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn")


NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}


def _refuse(found: Found) -> str | None:
    for key in (*ODD, "add_cross_attention"):
        if found.get(key):
            return f"{key} is {found[key]!r}; only plain attention is supported"
    if found.get("scale_attn_weights") is False:
        return "scale_attn_weights is False; only plain attention is supported"
    return None


def _settings(section: Found) -> dict[str, Any]:
    return {"n_inner": section["intermediate_size"]}


ARCHITECTURES = (
    Architecture(
        model_type="gpt2",
        label="GPT-2",
        prefix="GPT2",
        causal="LMHeadModel",
        layers="h",
        attention="attn",
        reads=("c_attn",),
        writes="c_proj",
        mlp_reads=("c_fc",),
        mlp_writes="c_proj",
        final_norm="ln_f",
        transposed=True,
        buffers=(".attn.bias", ".attn.masked_bias"),
        refuse=_refuse,
        names=NAMES,
        dropouts=("attn_pdrop", "embd_pdrop", "resid_pdrop"),
        settings=_settings,
        vectors=biased_vectors,
        norm=2,
        positions=True,
    ),
)
