"""Where a loaded model's heads are: modules, weights and activations.

Everything else speaks of a model through these functions, and of no class.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from headwater.geometry import Geometry, Head
from headwater.models import Architecture, architecture
from headwater.units import ATTENTION, Block, Site

if TYPE_CHECKING:
    from transformers import PreTrainedConfig as ModelConfig
    from transformers import PreTrainedModel as Model
else:  # to import the classes takes seconds, and only what makes a model needs one
    Model, ModelConfig = nn.Module, Any


def config_class(kind: Architecture) -> "type[ModelConfig]":
    """The class of an architecture's `config.json`."""
    return _class_of(kind, "configuration", f"{kind.prefix}Config")


def new_model(config: "ModelConfig") -> Model:
    """A model of a config, with weights as `transformers` draws them."""
    kind = architecture(config.model_type)
    return _class_of(kind, "modeling", kind.prefix + kind.causal)(config)


def _class_of(kind: Architecture, file: str, name: str) -> Any:
    place = f"transformers.models.{kind.model_type}.{file}_{kind.model_type}"
    return getattr(import_module(place), name)


def architecture_of(model: Model) -> Architecture:
    """The architecture of a loaded model."""
    return architecture(model.config.model_type)


def geometry(model: Model) -> Geometry:
    """The attention geometry of a loaded model."""
    config, kind = model.config, architecture_of(model)
    return Geometry(
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        getattr(config, "num_key_value_heads", None),
        getattr(config, "head_dim", None),
        kind.by_head,
        _wide(model),
        len(kind.mlp_reads) > 1,
    )


def readers(model: Model, layer: int, site: str = ATTENTION) -> list[nn.Module]:
    """The linear maps that read the input of a layer's attention, or of its MLP."""
    kind, module = architecture_of(model), _module(model, layer, site)
    names = kind.reads if site == ATTENTION else kind.mlp_reads
    return [module.get_submodule(name) for name in names]


def writer(model: Model, layer: int, site: str = ATTENTION) -> nn.Module:
    """The linear map by which it adds to the residual stream."""
    kind = architecture_of(model)
    name = kind.writes if site == ATTENTION else kind.mlp_writes
    return _module(model, layer, site).get_submodule(name)


def qkv_weight(model: Model, layer: int) -> Float[Tensor, "hidden qkv"]:
    """Weight of all readers of a layer, for `Geometry.split_qkv`.

    Of a single reader it is a view: what is done to it is done to the model.
    """
    weights = [inputs_first(model, map_) for map_ in readers(model, layer)]
    return weights[0] if len(weights) == 1 else torch.cat(weights, dim=1)


def value_weight(model: Model, head: Head) -> Float[Tensor, "hidden d_head"]:
    """What a head copies of its input; with its group where heads share V."""
    sizes = geometry(model)
    _, _, value = sizes.split_qkv(qkv_weight(model, head.layer))
    return value[:, sizes.group_of(head.index)]


def output_weight(model: Model, head: Head) -> Float[Tensor, "d_head hidden"]:
    """What a head makes of its output."""
    weight = inputs_first(model, writer(model, head.layer))
    return geometry(model).split_heads(weight.mT)[:, head.index].mT


def block_of(model: Model, block: Block) -> Float[Tensor, "inputs outputs"]:
    """The part of a model's weights that a block of a unit is."""
    if block.writes:
        whole = inputs_first(model, writer(model, block.layer, block.site))
        return whole[list(block.places)]
    maps = readers(model, block.layer, block.site)
    whole = torch.cat([inputs_first(model, map_) for map_ in maps], dim=1)
    return whole[:, list(block.places)]


def read_out(
    model: Model, site: Site, added: Float[Tensor, "*batch hidden"]
) -> Float[Tensor, "*batch hidden"]:
    """What a site adds, as the unembedding meets it: weighted by the norms after it.

    Norms are taken as the linear maps that they are but for their scale, which is left
    out, and their biases.
    """
    layer, what = site
    kind, base = architecture_of(model), base_of(model)
    after = kind.norms_after.get(what)
    names = [f"{kind.layers}.{layer}.{after}"] if after else []
    for name in [*names, kind.final_norm]:
        norm = base.get_submodule(name)
        if isinstance(norm, nn.LayerNorm):
            added = added - added.mean(dim=-1, keepdim=True)
        weight = norm.weight
        assert isinstance(weight, Tensor)
        added = added * weight
    return added


def tied(model: Model) -> dict[str, str]:
    """Weights that are another one's twin, by its name; checkpoints leave them out."""
    first: dict[int, str] = {}
    found = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(weight), name) != name:
            found[name] = first[id(weight)]
    return found


def published(model: Model) -> dict[str, Tensor]:
    """A model's weights, each once, under the names that published models have."""
    name, twins = architecture_of(model).published_name, tied(model)
    return {name(k): v for k, v in model.state_dict().items() if k not in twins}


def load_published(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Put weights of `published` names into a model; torch refuses what is no fit."""
    name = architecture_of(model).own_name
    found = {name(key): value for key, value in weights.items()}
    for twin, first in tied(model).items():
        if first in found:
            found.setdefault(twin, found[first])
    model.load_state_dict(found)


def embedding(model: Model) -> Float[Tensor, "vocabulary hidden"]:
    """Weight of the token embedding."""
    weight: Tensor = model.get_input_embeddings().weight
    return weight


def base_of(model: Model) -> nn.Module:
    """The model without its unembedding."""
    base = model.base_model
    assert isinstance(base, nn.Module)
    return base


def final_hidden(
    model: Model, tokens: Int[Tensor, "batch length"]
) -> Float[Tensor, "batch length hidden"]:
    """Hidden states before the unembedding."""
    hidden = base_of(model)(input_ids=tokens, use_cache=False).last_hidden_state
    assert isinstance(hidden, Tensor)
    return hidden


def attention_patterns(
    model: Model, tokens: Int[Tensor, "batch length"]
) -> list[Float[Tensor, "batch heads length length"]]:
    """Post-softmax attention of every layer, from queries (first) to keys.

    The model must use eager attention (`set_attn_implementation("eager")`), the only
    implementation that materialises patterns.
    """
    output = base_of(model)(input_ids=tokens, use_cache=False, output_attentions=True)
    return list(output.attentions)


def _module(model: Model, layer: int, site: str) -> nn.Module:
    kind = architecture_of(model)
    name = kind.attention if site == ATTENTION else kind.mlp
    return base_of(model).get_submodule(f"{kind.layers}.{layer}.{name}")


def _wide(model: Model) -> int:
    """Neurons of an MLP; GPT-2 leaves them out where they are four times the width."""
    config = architecture_of(model).plain(model.config.to_dict())
    return int(config.get("intermediate_size") or 4 * model.config.hidden_size)


def inputs_first(model: Model, map_: nn.Module) -> Float[Tensor, "inputs outputs"]:
    """Weight of a linear map, whichever way its class keeps it."""
    weight = map_.weight
    assert isinstance(weight, Tensor)
    return weight if architecture_of(model).transposed else weight.mT
