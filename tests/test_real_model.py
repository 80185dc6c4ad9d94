"""A pretrained model with grouped queries, whose heads mean something."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

import real_model
from headwater.checkpoints.files import load_model
from headwater.checkpoints.source import fetch_checkpoint
from headwater.curvature.ekfac import Factors
from headwater.geometry import Head
from headwater.gradients.blocks import blocks_of
from headwater.gradients.passes import PassOptions
from headwater.heads.scores import head_scores
from headwater.heads.sequences import repeated_sequences
from headwater.identity import identity
from headwater.influence.files import Product
from headwater.influence.scores import stream_scores
from headwater.models.sites import geometry
from strangers import row_gradients
from test_corpus_support import small_config
from test_models import found_gradients, units_of

pytestmark = pytest.mark.long
SHAPE = ("llama", 30, 9, 3, 64, 576, {})
HEAD = Head(18, 6)
TEXT = (
    "The river rises in the hills above the town. Each spring the river floods the "
    "lower meadows, and each spring the farmers of the lower meadows move their herds."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it is published; skipped where there is no network to fetch it."""
    place = tmp_path_factory.mktemp("real") / "main"
    try:
        real_model.main(place)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("no network to fetch a pretrained model")
    return place


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """The model as Headwater's own stages read it."""
    section = {
        "architecture": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "rotary_emb_base": 100_000,
        "tie_word_embeddings": True,
        "vocab_size": 49_152,
    }
    place = {"folder": str(folder.parent), "start": folder.name}
    config = small_config(model=section, checkpoints=place)
    target = tmp_path_factory.mktemp("checkpoint") / "step0"
    stamp = identity("source", config, revision=folder.name)
    fetch_checkpoint(target, folder.name, config, stamp)
    return load_model(target, config)


def tokens_of(folder: Path) -> torch.Tensor:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return torch.tensor([tokenizer.encode(TEXT).ids])


def test_its_logits_are_those_of_transformers(folder: Path, model) -> None:
    own = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = tokens_of(folder)
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, own(tokens).logits)


def test_its_induction_heads_are_found(model) -> None:
    """With their rivals in the same group of keys and values."""
    shape = {"length": 112, "min_period": 16, "max_period": 41}
    ids = torch.arange(1000, 40_000).numpy()
    scores = head_scores(model, repeated_sequences(16, shape, ids, 0))
    matched = scores["prefix_matching"]
    best = sorted(matched, key=lambda head: -matched[head])
    assert best[0] == HEAD
    assert matched[HEAD] > 0.85
    assert {str(head) for head in best[1:3]} == {"L17H4", "L17H3"}
    controls = ("prefix_matching_before", "prefix_matching_shuffled")
    assert all(scores[name][HEAD] < matched[HEAD] / 3 for name in controls)


def test_gradients_of_its_heads_equal_autograd(folder: Path, model) -> None:
    """On real activations, in float64; heads of one group and of another layer."""
    wide, rows = model.double(), tokens_of(folder)
    heads = [HEAD, Head(18, 7), Head(18, 0), Head(5, 3)]
    modes = [units_of(wide, heads, mode) for mode in ("qkvo", "qo")]
    found = {
        name: gradient
        for units in modes
        for name, gradient in found_gradients(wide, rows, units, 1).items()
    }
    (expected,) = row_gradients(wide, SHAPE, rows, heads)
    names = [str(block) for units in modes for block in blocks_of(units)]
    assert {*found} == {*names}
    for name in names:
        error = (found[name][0] - expected[name]).norm() / expected[name].norm()
        assert error < 1e-9, name
    assert geometry(wide).sharing(HEAD) == [Head(18, 7), Head(18, 8)]
    shared = found["L18H6/v"][0], found["L18H7/v"][0], found["L18H0/v"][0]
    assert torch.equal(shared[0], shared[1])
    assert not torch.equal(shared[0], shared[2])


def test_exact_scores_of_units_equal_autograd(folder: Path, model) -> None:
    """Of a head, its group, a neuron and a circuit, with no Hessian."""
    wide, rows = model.double(), tokens_of(folder)
    labels = [str(HEAD), "L18G2", "L18N100", "L18H6+L17H4"]
    units = units_of(wide, labels)
    widths = {}
    for block in blocks_of(units):
        widths[block.left], widths[block.right] = block.shape
    bases = {name: torch.eye(width).double() for name, width in widths.items()}
    factors = Factors(bases, {}, 1, "identity")
    draw = np.random.default_rng(0).normal
    products = [Product(str(unit), unit, draw(size=unit.size)) for unit in units]
    scores, _ = stream_scores(wide, rows, factors, products, PassOptions(1))
    (gradients,) = row_gradients(wide, SHAPE, rows, [*labels[:3], "L17H4"])
    for product, score in zip(products, scores[0], strict=True):
        flat = torch.cat([gradients[str(b)].flatten() for b in product.unit.blocks])
        expected = -float(flat @ torch.from_numpy(product.vector))
        assert score == pytest.approx(expected, rel=1e-6), product.target
