"""Settings of a stranger's model, and what it computes: usable, or refused by name."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from headwater.checkpoints.files import load_model
from headwater.checkpoints.settings import settings_problem
from headwater.checkpoints.shape import shape_problem
from headwater.errors import HeadwaterError
from headwater.evaluation.losses import held_out_losses
from headwater.gradients.passes import PassOptions, run_pass
from headwater.gradients.probe import probe_gradient
from headwater.heads.scores import head_scores
from headwater.models.sites import geometry
from headwater.probes import PROBES, Repeats
from headwater.training.trainer import weighted_loss
from headwater.units import ATTENTION, parse
from model_hub import pythia_config, pythia_tensors, write_revision
from test_checkpoint_source import WEIGHTS, fetch, folder_config, hf_weights, refusal

BIAS = "gpt_neox.layers.0.mlp.dense_h_to_4h.bias"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"layer_norm_eps": -1e-5}, "layer_norm_eps is -1e-05, but must be a finite"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0"),
        ({"layer_norm_eps": math.nan}, "NaN is no number of JSON"),
        ({"layer_norm_eps": "1e-5"}, "layer_norm_eps is '1e-5'"),
        ({"layer_norm_eps": None}, "layer_norm_eps is None"),
        ({"layer_norm_eps": True}, "layer_norm_eps is True"),
        ({"rope_theta": 0}, "rope_theta is 0"),
        ({"rotary_emb_base": -10000}, "rotary_emb_base is -10000"),
        ({"rotary_emb_base": 1e39}, "rotary_emb_base is 1e+39"),
        ({"rope_parameters": {"rope_theta": 0.0}}, "rope_parameters.rope_theta is 0.0"),
        ({"rope_parameters": [1]}, "rope_parameters is [1], but must be an object"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "rope_scaling.factor is 0"),
        (
            {"rope_scaling": {"rope_type": "spiral", "factor": 2.0}},
            "rope_type is 'spiral'; known are default, linear",
        ),
        ({"rotary_pct": 1.5}, "rotary_pct is 1.5, but must be a number above 0, at"),
        ({"hidden_act": "geluu"}, "hidden_act is 'geluu'; did you mean \"gelu\"?"),
        ({"hidden_act": 5}, "hidden_act is 5"),
        ({"torch_dtype": "int8"}, "torch_dtype is 'int8', but must be one of"),
        ({"torch_dtype": "nothing"}, "torch_dtype is 'nothing'"),
        ({"dtype": ["float32"]}, "dtype is ['float32']"),
        ({"dtype": "float8_e4m3fn"}, "dtype is 'float8_e4m3fn'"),
        ({"quantization_config": {"bits": 4}}, "quantised weights are not supported"),
        ({"hidden_size": 32.0}, "hidden_size is 32.0, but must be a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"vocab_size": 2**70}, "vocab_size is 1180591620717411303424"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"max_position_embeddings": "64"}, "max_position_embeddings is '64'"),
        ({"use_parallel_residual": "no"}, "use_parallel_residual is 'no'"),
        ({"attention_bias": 1}, "attention_bias is 1, but must be true or false"),
        ({"model_type": ["gpt_neox"]}, "a model of type ['gpt_neox']"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, changes, place):
    folder = write_revision(tmp_path / "m" / "step0", **changes)
    found = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert "delete" not in found
    assert found.startswith(f"{folder / 'config.json'}: ")
    assert place in found


def test_settings_that_can_be_used_are_taken():
    assert settings_problem(pythia_config()) is None
    assert settings_problem({}) is None
    usable = {
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "rope_scaling": None,
        "dtype": "bfloat16",
        "quantization_config": None,
        "attention_bias": False,
    }
    assert settings_problem({**pythia_config(), **usable}) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=12), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(sorted({*pythia_config(), "rope_scaling", "dtype"})), ANYTHING)
def test_any_value_of_a_setting_is_taken_or_one_line(key, value):
    config = folder_config(Path("m"))
    config["model"]["rotary_pct"] = 0.25
    wrong = shape_problem({**pythia_config(), key: value}, config)
    assert wrong is None or "\n" not in wrong.replace(repr(value), "")


# Numbers


@pytest.fixture
def overflowing(tmp_path):
    """A checkpoint of finite weights whose activations are not, and its config."""
    folder = write_revision(tmp_path / "m" / "step0")
    tensors = pythia_tensors(0)
    tensors[BIAS] = torch.full_like(tensors[BIAS], 3e38, dtype=torch.float32)
    save_file(tensors, folder / WEIGHTS)
    config = folder_config(tmp_path / "m")
    return fetch(tmp_path / "out", "step0", config), config


def test_a_model_that_gives_nan_is_refused_by_the_first_that_runs_it(overflowing):
    folder, config = overflowing
    rows = torch.arange(8).repeat(2, 2)
    period = torch.full((2,), 8)
    data, probe = Repeats(rows, 0 * period, period, period), PROBES["copying"]
    uses = (
        lambda model: head_scores(model, data),
        lambda model: held_out_losses(model, rows),
        lambda model: probe_gradient(
            model, probe, parse("L0H1", geometry(model), "qkvo"), data
        ),
        lambda model: list(run_pass(model, rows, [(0, ATTENTION)], PassOptions(1))),
        lambda model: weighted_loss(model.train(), rows, torch.ones(2), 2),
    )
    for use in uses:
        with pytest.raises(HeadwaterError) as caught:
            use(load_model(folder, config))
        assert str(caught.value) == (
            f"{folder}: its weights are finite, but what it makes of its first batch "
            "is NaN or infinite (its config.json does not fit them, or the training "
            "diverged); take another checkpoint"
        )


def test_the_check_ends_with_the_first_batch(tmp_path):
    write_revision(tmp_path / "m" / "step0")
    config = folder_config(tmp_path / "m")
    model = load_model(fetch(tmp_path / "out", "step0", config), config)
    rows = torch.arange(8).repeat(2, 2)
    period = torch.full((2,), 8)
    head_scores(model, Repeats(rows, 0 * period, period, period))
    assert not model.gpt_neox._forward_hooks
    with torch.no_grad():
        model.gpt_neox.layers[0].mlp.dense_h_to_4h.bias.fill_(3e38)
    with pytest.raises(HeadwaterError, match=r"^row 0: its loss is not finite"):
        list(run_pass(model, rows, [(0, ATTENTION)], PassOptions(1)))


def test_published_names_come_back(tmp_path):
    write_revision(tmp_path / "m" / "step0", 4)
    config = folder_config(tmp_path / "m")
    target = fetch(tmp_path / "out", "step0", config)
    assert "embed_out.weight" in load_file(target / WEIGHTS)
    assert torch.equal(hf_weights(target), hf_weights(tmp_path / "m" / "step0"))
    tensors = load_file(target / WEIGHTS)
    tensors["lm_head.weight"] = tensors.pop("embed_out.weight")
    before = load_model(target, config).get_output_embeddings().weight
    save_file(tensors, target / WEIGHTS)
    after = load_model(target, config).get_output_embeddings().weight
    assert torch.equal(before, after)
