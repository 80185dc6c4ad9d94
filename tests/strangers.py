"""Tiny random models of every supported type, and where their heads are.

Written with plain row numbers from `transformers`' sources, apart from the library.
"""

import re

import torch
from torch import Tensor
from transformers import (
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.models.mistral.modeling_mistral import MistralForCausalLM
from transformers.models.olmo2.modeling_olmo2 import Olmo2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM

from headwater.geometry import Head
from tiny import VOCABULARY

CLASSES = {
    "gpt_neox": (GPTNeoXConfig, GPTNeoXForCausalLM),
    "gpt2": (GPT2Config, GPT2LMHeadModel),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "olmo2": (Olmo2Config, Olmo2ForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
}

# Type, layers, heads, heads of K and V, width of a head, width of the model, more.
SHAPES = [
    ("gpt_neox", 2, 3, 3, 8, 24, {"attention_bias": False}),
    ("gpt_neox", 3, 2, 2, 6, 12, {}),
    ("gpt2", 2, 3, 3, 4, 12, {}),
    ("gpt2", 3, 2, 2, 10, 20, {"tie_word_embeddings": False}),
    ("llama", 2, 4, 4, 6, 24, {}),
    ("llama", 3, 6, 2, 4, 18, {"attention_bias": True}),
    ("llama", 2, 4, 1, 8, 20, {"tie_word_embeddings": True}),
    ("qwen2", 2, 6, 3, 4, 24, {}),
    ("qwen3", 2, 4, 2, 6, 20, {}),
    ("olmo2", 2, 4, 2, 6, 24, {}),
    ("mistral", 2, 4, 2, 6, 20, {"sliding_window": None}),
]
NAMES = ["-".join(map(str, shape[:4])) for shape in SHAPES]


def stranger(shape: tuple, seed: int = 0, spread: float = 0.35) -> torch.nn.Module:
    """A random float64 model whose attention is far from uniform."""
    kind, layers, heads, kv_heads, width, hidden, more = shape
    make_config, make = CLASSES[kind]
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 64,
        "use_cache": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        **more,
    }
    if kind not in ("gpt_neox", "gpt2"):
        settings["num_key_value_heads"] = kv_heads
        if width != hidden // heads or kind in ("qwen3", "mistral"):
            settings["head_dim"] = width
    if kind == "gpt2":
        del settings["intermediate_size"]
        settings |= {"n_inner": 2 * hidden}
        settings |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = make(make_config(**settings)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator).double() * spread
            scale = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(1 + noise if scale else noise)
    return model


def places(shape: tuple, head: Head) -> dict[str, list[tuple[str, int, list[int]]]]:
    """Block to what it is made of: name of a weight, its axis of outputs, the places.

    The places are along the axis of outputs, but of `o` along that of inputs.
    """
    kind, _, heads, kv_heads, width, _, _ = shape
    own = [width * head.index + i for i in range(width)]
    group = head.index * kv_heads // heads
    shared = [width * group + i for i in range(width)]
    if kind == "gpt_neox":
        name = f"gpt_neox.layers.{head.layer}.attention"
        first = 3 * width * head.index
        q, k, v = (
            [first + part * width + i for i in range(width)] for part in range(3)
        )
        qkv = f"{name}.query_key_value.weight"
        return {
            "qk": [(qkv, 0, q), (qkv, 0, k)],
            "q": [(qkv, 0, q)],
            "v": [(qkv, 0, v)],
            "o": [(f"{name}.dense.weight", 0, own)],
        }
    if kind == "gpt2":
        name = f"transformer.h.{head.layer}.attn"
        k, v = ([part * width * heads + i for i in own] for part in (1, 2))
        qkv = f"{name}.c_attn.weight"
        return {
            "qk": [(qkv, 1, own), (qkv, 1, k)],
            "q": [(qkv, 1, own)],
            "v": [(qkv, 1, v)],
            "o": [(f"{name}.c_proj.weight", 1, own)],
        }
    name = f"model.layers.{head.layer}.self_attn"
    q = (f"{name}.q_proj.weight", 0, own)
    return {
        "qk": [q, (f"{name}.k_proj.weight", 0, shared)],
        "q": [q],
        "v": [(f"{name}.v_proj.weight", 0, shared)],
        "o": [(f"{name}.o_proj.weight", 0, own)],
    }


def mlp_places(shape: tuple, layer: int, neurons: list[int]) -> dict:
    """The same of some neurons of an MLP."""
    kind, width = shape[0], 2 * shape[5]
    if kind == "gpt_neox":
        name, axis = f"gpt_neox.layers.{layer}.mlp", 0
        read, write = [f"{name}.dense_h_to_4h.weight"], f"{name}.dense_4h_to_h.weight"
    elif kind == "gpt2":
        name, axis = f"transformer.h.{layer}.mlp", 1
        read, write = [f"{name}.c_fc.weight"], f"{name}.c_proj.weight"
    else:
        name, axis = f"model.layers.{layer}.mlp", 0
        read = [f"{name}.gate_proj.weight", f"{name}.up_proj.weight"]
        write = f"{name}.down_proj.weight"
    assert max(neurons) < width
    return {
        "in": [(one, axis, neurons) for one in read],
        "out": [(write, axis, neurons)],
    }


def unit_places(shape: tuple, label: str) -> dict:
    """The same of any unit that is no circuit, by its label and block."""
    _, _, heads, kv_heads, *_ = shape
    layer, sort, index = re.fullmatch(r"L(\d+)([A-Z]*)(\d*)", label).groups()
    layer, share = int(layer), heads // kv_heads
    if sort == "MLP":
        found = mlp_places(shape, layer, list(range(2 * shape[5])))
    elif sort == "N":
        found = mlp_places(shape, layer, [int(index)])
    elif sort == "H":
        found = places(shape, Head(layer, int(index)))
    elif sort == "G":
        own = [places(shape, Head(layer, int(index) * share + i)) for i in range(share)]
        found = {
            "qk": [*(one["q"][0] for one in own), own[0]["qk"][1]],
            "q": [one["q"][0] for one in own],
            "v": own[0]["v"],
            "o": [one["o"][0] for one in own],
        }
    else:
        return {
            name: parts
            for group in range(kv_heads)
            for name, parts in unit_places(shape, f"{label}G{group}").items()
        }
    return {f"{label}/{name}": parts for name, parts in found.items()}


def block_of(
    parts: list[tuple[str, int, list[int]]], weights: dict[str, Tensor], is_o: bool
) -> Tensor:
    """A block [inputs, outputs] out of tensors shaped like the weights."""
    found = []
    for name, axis, where in parts:
        matrix = weights[name] if axis == 1 else weights[name].T
        found.append(matrix[where] if is_o else matrix[:, where])
    return torch.cat(found, dim=0 if is_o else 1)


def row_gradients(model, shape, rows: Tensor, labels: list[str]) -> list[dict]:
    """Of every row, one at a time, by plain autograd: block to gradient."""
    model.requires_grad_(True)
    result = []
    for row in rows:
        logits = model(input_ids=row[None, :-1], use_cache=False).logits[0]
        loss = torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum")
        names, parameters = zip(*model.named_parameters(), strict=True)
        grads = dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))
        result.append(
            {
                block: block_of(parts, grads, block.endswith(("/o", "/out")))
                for label in labels
                for block, parts in unit_places(shape, str(label)).items()
            }
        )
    return result
