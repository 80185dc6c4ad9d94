"""GPT-NeoX geometry: where a head's parameters and activations are.

`query_key_value` is head-major, `[head, (q, k, v), d_head]` along its output; the input
columns of `dense` are head-major too. Gradients are taken at the output of
`query_key_value`, before the rotary embedding, and its inputs after the LayerNorm.
"""

from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from torch import Tensor, nn

from headwater.geometry import Geometry

if TYPE_CHECKING:
    from transformers.models.gpt_neox.modeling_gpt_neox import (
        GPTNeoXForCausalLM as Model,
    )
else:  # to import the class takes seconds, and only what makes a model needs it
    Model = nn.Module


def geometry(model: Model) -> Geometry:
    """The attention geometry of a loaded model."""
    config = model.config
    return Geometry(
        config.num_hidden_layers, config.num_attention_heads, config.hidden_size
    )


def published_name(name: str) -> str:
    """A weight's name in checkpoints: the one that published models have."""
    return _renamed(name, "lm_head.", "embed_out.")


def own_name(name: str) -> str:
    """A weight's name in the model that `transformers` makes today."""
    return _renamed(name, "embed_out.", "lm_head.")


def _renamed(name: str, old: str, new: str) -> str:
    return new + name.removeprefix(old) if name.startswith(old) else name


def attention_of(model: Model, layer: int) -> nn.Module:
    """The attention module of a layer (with `query_key_value` and `dense`)."""
    attention = model.gpt_neox.layers[layer].attention
    assert isinstance(attention, nn.Module)
    return attention


def dense_of(model: Model, layer: int) -> nn.Module:
    """The output projection of a layer's attention."""
    dense = attention_of(model, layer).dense
    assert isinstance(dense, nn.Module)
    return dense


def qkv_weight(model: Model, layer: int) -> Float[Tensor, "heads 3 d_head hidden"]:
    """Weight of a layer's `query_key_value` by head."""
    weight: Tensor = model.gpt_neox.layers[layer].attention.query_key_value.weight
    sizes = geometry(model)
    return weight.view(sizes.heads, 3, sizes.d_head, sizes.hidden)


def dense_weight(model: Model, layer: int) -> Float[Tensor, "hidden heads d_head"]:
    """Weight of a layer's `dense` by head."""
    weight: Tensor = model.gpt_neox.layers[layer].attention.dense.weight
    return geometry(model).split_heads(weight)


def final_hidden(
    model: Model, tokens: Int[Tensor, "batch length"]
) -> Float[Tensor, "batch length hidden"]:
    """Hidden states before the unembedding."""
    hidden = model.gpt_neox(input_ids=tokens, use_cache=False).last_hidden_state
    assert isinstance(hidden, Tensor)
    return hidden


def attention_patterns(
    model: Model, tokens: Int[Tensor, "batch length"]
) -> list[Float[Tensor, "batch heads length length"]]:
    """Post-softmax attention of every layer, from queries (first) to keys.

    The model must use eager attention (`set_attn_implementation("eager")`), the only
    implementation that materialises patterns.
    """
    output = model.gpt_neox(input_ids=tokens, use_cache=False, output_attentions=True)
    return list(output.attentions)
