"""The core on a GPU: the same scores, factors and codes as on the CPU."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from headwater.curvature.ekfac import fit_factors
from headwater.geometry import Head
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.files import Product
from headwater.influence.inverse import solve
from headwater.influence.scores import stream_scores
from headwater.probes import PROBES
from headwater.projection.coordinates import Projection, all_coordinates
from tiny import probe_data, random_rows, tiny_model, unit

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; none is here"
)

UNITS = [unit(Head(0, 1)), unit(Head(2, 0))]


def scores_on(device: str, dtype: torch.dtype = torch.float64) -> np.ndarray:
    """Scores of two heads, from factors and probe gradients of the same device."""
    model, rows = tiny_model().to(device), random_rows(40)
    factors = fit_factors(model, rows, UNITS, PassOptions(16, 3))
    products = []
    for one in UNITS:
        data = probe_data("induction", 8)
        gradient, _ = probe_gradient(model, PROBES["induction"], one, data)
        vector = solve(factors, one.blocks, gradient, 0.1)
        products.append(Product(str(one), one, vector))
    options = PassOptions(16)
    return stream_scores(model.to(dtype), rows, factors, products, options)[0]


def test_scores_equal_those_of_the_cpu():
    np.testing.assert_allclose(scores_on("cuda"), scores_on("cpu"), rtol=1e-4)


def test_bf16_scores_agree_with_exact_ones():
    exact, fast = scores_on("cpu"), scores_on("cuda", torch.bfloat16)
    for column in range(2):
        assert spearmanr(exact[:, column], fast[:, column])[0] > 0.98


def test_codes_are_made_on_the_device():
    rows, found = random_rows(6), []
    factors = fit_factors(tiny_model(), rows, UNITS, PassOptions(6, 3))
    for device in ("cpu", "cuda"):
        model = tiny_model().to(device)
        options, bases = PassOptions(6), factors.bases
        ((_, own),) = gradients_of(model, rows, UNITS, options, bases)
        projection = Projection(all_coordinates(factors, UNITS[1].blocks), 4, 1)
        codes, scale = projection.encode(own[UNITS[1]])
        assert codes.device.type == device
        found.append(projection.codec.decode(codes.cpu(), scale.cpu()))
    assert (found[0] - found[1]).norm() < 0.02 * found[0].norm()
