"""Models of every supported architecture on disk, new, trained, and refused."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from headwater.checkpoints.files import TrainerState, load_model, save_checkpoint
from headwater.checkpoints.needs import parameters
from headwater.checkpoints.source import fetch_checkpoint
from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.models import ARCHITECTURES
from headwater.models.sections import geometry_of
from headwater.models.sites import geometry
from headwater.training.recipe import Recipe, make_optimizer
from headwater.training.run import new_model
from headwater.training.trainer import train, weighted_loss
from strangers import NAMES, SHAPES, stranger
from test_corpus_support import small_config
from tiny import VOCABULARY, random_rows

each = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)


def section(shape: tuple) -> dict:
    """The config's section `model` of a stranger."""
    kind, layers, heads, kv_heads, width, hidden, more = shape
    found = {
        "architecture": kind,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 2 * hidden,
        "vocab_size": VOCABULARY,
    }
    if kv_heads != heads:
        found["num_key_value_heads"] = kv_heads
    if width != hidden // heads:
        found["head_dim"] = width
    if more.get("tie_word_embeddings", kind == "gpt2"):
        found["tie_word_embeddings"] = True
    return found


def config_of(shape: tuple, **more) -> dict:
    return small_config(model=section(shape), **more)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(random_rows(2, 12)).logits


@each
def test_a_saved_model_comes_back_bit_by_bit(shape, tmp_path: Path) -> None:
    """By our own reader, and by `transformers`, which knows nothing of us."""
    model, config = stranger(shape).float(), config_of(shape)
    stamp = identity("checkpoints", config)
    save_checkpoint(tmp_path / "step3", model, None, TrainerState(3, 2.5, stamp))
    names = load_file(tmp_path / "step3/model.safetensors").keys()
    assert len(names) == len([*model.parameters()])  # tied weights once
    assert torch.equal(logits(load_model(tmp_path / "step3", config)), logits(model))
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "step3")
    assert torch.equal(logits(found), logits(model))


@each
@pytest.mark.parametrize("saved", ["whole", "base", "twice"])
def test_a_published_model_is_taken_as_it_is(shape, saved, tmp_path: Path) -> None:
    """As `transformers` saves it; without the base model's prefix; tied ones twice."""
    model = stranger(shape).float()
    model.save_pretrained(tmp_path / "model/main")
    path = tmp_path / "model/main/model.safetensors"
    tensors, prefix = load_file(path), f"{model.base_model_prefix}."
    if saved == "base":
        tensors = {name.removeprefix(prefix): v for name, v in tensors.items()}
    if saved == "twice":
        tensors.setdefault(
            "embed_out.weight" if shape[0] == "gpt_neox" else "lm_head.weight",
            model.lm_head.weight.detach().clone(),
        )
    save_file(tensors, path, metadata={"format": "pt"})
    place = {"folder": str(tmp_path / "model"), "start": "main"}
    config = config_of(shape, checkpoints=place)
    stamp = identity("source", config, revision="main")
    fetch_checkpoint(tmp_path / "step0", "main", config, stamp)
    assert torch.equal(logits(load_model(tmp_path / "step0", config)), logits(model))


@each
def test_a_new_model_has_the_shape_that_was_asked_for(shape) -> None:
    """The parameters that the plan counts, and the geometry; the seed decides."""
    config = config_of(shape)
    model, same = (new_model(config, VOCABULARY, 5) for _ in range(2))
    other = new_model(config, VOCABULARY, 6)
    assert torch.equal(logits(model), logits(same))
    assert not torch.equal(logits(model), logits(other))
    own = ("layers", "heads", "hidden", "groups", "d_head", "by_head", "wide", "gated")
    for name in own:
        wanted = getattr(geometry_of(config["model"]), name)
        assert getattr(geometry(model), name) == wanted
    if not shape[6].get("attention_bias", False):
        assert parameters(config) == sum(p.numel() for p in model.parameters())


@each
def test_pythias_initial_weights_suit_every_architecture(shape) -> None:
    """What writes into the residual stream is drawn by another rule than the rest."""
    config = config_of(shape)
    config["model"] |= {"init": "neox", "hidden_size": 96, "head_dim": 96}
    if shape[0] in ("gpt_neox", "gpt2"):
        del config["model"]["head_dim"]
    model = new_model(config, VOCABULARY, 0)
    adds = ARCHITECTURES[shape[0]].adds
    spreads = {
        name: float(weight.detach().std())
        for name, weight in model.named_parameters()
        if weight.ndim == 2
    }
    writers = [s for name, s in spreads.items() if name.endswith(adds)]
    others = [s for name, s in spreads.items() if not name.endswith(adds)]
    assert len(writers) == 2 * shape[1]
    assert writers == pytest.approx([2 / shape[1] / 96**0.5] * len(writers), rel=0.1)
    assert others == pytest.approx([(2 / 5 / 96) ** 0.5] * len(others), rel=0.1)


@each
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_lowers_the_loss(shape, precision) -> None:
    model, rows = stranger(shape).float(), random_rows(4)
    before = model.config._attn_implementation
    recipe = Recipe(0.01, 2, (0.9, 0.95), 1e-6, 0.0, 1.0, precision=precision)
    losses: list[float] = []
    train(
        model,
        make_optimizer(model, recipe),
        recipe,
        lambda step: (rows, torch.ones(4)),
        range(12),
        lambda step, loss: losses.append(loss),
    )
    assert losses[-1] < 0.7 * losses[0]
    assert model.config._attn_implementation == before


@each
def test_attention_in_float32_is_the_models_own(shape) -> None:
    """Where heads share keys and values, too: in bf16 the loss is near the exact."""
    model, rows, ones = stranger(shape).float(), random_rows(6), torch.ones(6)
    exact = weighted_loss(model, rows, ones, 6)
    rounded = weighted_loss(model, rows, ones, 6, torch.bfloat16)
    assert rounded.item() == pytest.approx(exact.item(), rel=0.02)


LLAMA = SHAPES[5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sliding_window": 4096}, "sliding_window is 4096; only full attention is"),
        (
            {"layer_types": ["full_attention", "linear_attention", "full_attention"]},
            "layers of 'linear_attention'; only full attention is supported",
        ),
        ({"model_type": "mixtral"}, "a model of type 'mixtral'; Headwater supports"),
        ({"model_type": "qwen2"}, "model.architecture is 'llama' in the config"),
        ({"num_key_value_heads": 3}, "model.num_key_value_heads is 2 in the config"),
        ({"head_dim": 8}, "head_dim is 8 in this model, model.head_dim is 4"),
        ({"tie_word_embeddings": True}, "write model.tie_word_embeddings: true"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    changes, message, tmp_path: Path
) -> None:
    stranger(LLAMA).float().save_pretrained(tmp_path / "model/main")
    path = tmp_path / "model/main/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    place = {"folder": str(tmp_path / "model"), "start": "main"}
    config = config_of(LLAMA, checkpoints=place)
    stamp = identity("source", config, revision="main")
    with pytest.raises(HeadwaterError) as caught:
        fetch_checkpoint(tmp_path / "step0", "main", config, stamp)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text


def test_gpt2s_odd_attentions_are_refused(tmp_path: Path) -> None:
    model = copy.deepcopy(stranger(SHAPES[2])).float()
    model.config.scale_attn_by_inverse_layer_idx = True
    model.save_pretrained(tmp_path / "model/main")
    config = config_of(
        SHAPES[2], checkpoints={"folder": str(tmp_path / "model"), "start": "main"}
    )
    stamp = identity("source", config, revision="main")
    with pytest.raises(HeadwaterError, match="only plain attention is supported"):
        fetch_checkpoint(tmp_path / "step0", "main", config, stamp)
