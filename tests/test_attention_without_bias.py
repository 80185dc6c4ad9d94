"""A model without biases in its attention (`attention_bias: false`), stage by stage."""

import pytest
import torch
from safetensors.torch import save_file

from headwater.checkpoints.files import load_model
from headwater.curvature.ekfac import fit_factors
from headwater.geometry import Head
from headwater.gradients.flat import gradients_of, split_blocks
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.heads.scores import head_scores
from headwater.models.sites import geometry
from headwater.probes import PROBES
from model_hub import pythia_tensors, write_revision
from test_checkpoint_source import WEIGHTS, fetch, folder_config, hf_weights
from test_gradients import batched_gradients
from tiny import (
    OF_HEADS,
    ask,
    head_gradient,
    loop_gradients,
    probe_data,
    random_rows,
    repeats,
    tiny_model,
    unit,
)

HEAD = Head(1, 2)
UNIT = unit(HEAD)


@pytest.fixture
def model():
    found = tiny_model(attention_bias=False)
    assert found.gpt_neox.layers[0].attention.dense.bias is None
    return found


def test_heads_are_scored(model):
    found = head_scores(model, repeats(3))
    assert all(
        abs(value) <= 1 for scores in found.values() for value in scores.values()
    )


@pytest.mark.parametrize("name", OF_HEADS)
def test_probe_gradients_equal_autograd(model, name):
    data = probe_data(name, 3)
    found, mean = probe_gradient(model, PROBES[name], UNIT, data)
    model.set_attn_implementation("eager")
    model.requires_grad_(True)
    value = ask(name, model, HEAD, data).mean()
    assert mean == pytest.approx(value.item(), rel=1e-6)
    for block, gradient in head_gradient(model, HEAD, value).items():
        own = found[f"{HEAD}/{block}"]
        torch.testing.assert_close(own, gradient, rtol=1e-5, atol=1e-6)


def test_copying_is_that_of_a_bias_of_zero(model):
    data = repeats(3)
    twin = tiny_model()
    twin.load_state_dict(model.state_dict(), strict=False)
    for layer in twin.gpt_neox.layers:
        for part in (layer.attention.dense, layer.attention.query_key_value):
            torch.nn.init.zeros_(part.bias)
    found = [PROBES["copying"].function(m, HEAD, data).detach() for m in (model, twin)]
    torch.testing.assert_close(*found)


def test_gradients_of_rows_equal_autograd_and_factors_are_fitted(model):
    rows = random_rows(4)
    heads = geometry(model).all_heads()
    found = batched_gradients(model, rows, heads, 2)
    expected = loop_gradients(model, rows, rows[:, 1:], heads)
    for head in heads:
        for name in ("qk", "v", "o"):
            loop = torch.stack([row[head][name] for row in expected])
            torch.testing.assert_close(found[f"{head}/{name}"], loop)
    units = [unit(head) for head in heads]
    factors = fit_factors(model, rows, units, PassOptions(2, 17))
    passed = gradients_of(model, rows, units, PassOptions(2), factors.bases)
    _, gradients = next(iter(passed))
    blocks = split_blocks(gradients[UNIT], UNIT)
    assert all(part.isfinite().all() for part in blocks.values())


def test_a_published_one_is_fetched(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0", attention_bias=False)
    gone = ("attention.dense.bias", "attention.query_key_value.bias")
    tensors = {k: v for k, v in pythia_tensors(0).items() if not k.endswith(gone)}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = folder_config(tmp_path / "m")
    model = load_model(fetch(tmp_path / "out", "step0", config), config)
    with torch.no_grad():
        logits = model(torch.arange(1, 9)[None]).logits
    assert torch.equal(logits, hf_weights(folder))
