"""GPT-NeoX, the architecture of Pythia.

`query_key_value` is head-major, `[head, (q, k, v), d_head]` along its output.
"""

from typing import Any

from headwater.models.base import Architecture, Found, biased_vectors

KEYS = ("rotary_pct", "rotary_emb_base", "use_parallel_residual")


def _settings(section: Found) -> dict[str, Any]:
    return {key: section[key] for key in KEYS if key in section}


ARCHITECTURES = (
    Architecture(
        model_type="gpt_neox",
        label="GPT-NeoX",
        prefix="GPTNeoX",
        layers="layers",
        attention="attention",
        reads=("query_key_value",),
        writes="dense",
        mlp_reads=("dense_h_to_4h",),
        mlp_writes="dense_4h_to_h",
        final_norm="final_layer_norm",
        by_head=True,
        renamed=(("embed_out.", "lm_head."),),
        buffers=("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq"),
        dropouts=("attention_dropout", "hidden_dropout"),
        keys=KEYS,
        settings=_settings,
        vectors=biased_vectors,
        norm=2,
    ),
)
