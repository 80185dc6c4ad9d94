"""Codes: what the rotation keeps, how large the error is, how codes are packed."""

import numpy as np
import pytest
import torch

from headwater.projection.codes import MIX, STEPS, Codec

# Least mean squared error of equal steps for a normal variable of variance 1
# (Max 1960, table II; 8 bits by numerical integration).
ERRORS = {1: 0.3634, 2: 0.1188, 4: 0.01154, 8: 8.77e-5}


def vectors(rows: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 63, 64, 100, 768])
def test_rotation_keeps_inner_products_whatever_the_length(count):
    codec = Codec(count, 4, 3)
    values = vectors(5, count).double()
    turned = codec.rotate(values)
    assert turned.shape == (5, codec.padded)
    assert codec.padded % MIX == 0
    assert codec.padded < count + MIX
    torch.testing.assert_close(turned @ turned.T, values @ values.T)


def test_rotation_depends_on_its_seed_only():
    values = vectors(2, 128)
    first = Codec(128, 4, 3).rotate(values)
    assert torch.equal(first, Codec(128, 2, 3).rotate(values))
    assert not torch.allclose(first, Codec(128, 4, 4).rotate(values))


def test_rotation_spreads_a_spike_over_its_group():
    spike = torch.zeros(1, 1024)
    spike[0, 17] = 1
    turned = Codec(1024, 4, 0).rotate(spike)
    assert int((turned != 0).sum()) == MIX
    assert float(turned.abs().max()) == pytest.approx(MIX**-0.5)


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_the_error_is_that_of_the_best_equal_steps(bits):
    codec, values = Codec(4096, bits, 1), vectors(40, 4096)
    found = codec.decode(*codec.encode(values))
    error = (found - codec.rotate(values)).square().mean() / values.square().mean()
    # The scale that makes up for shrinking costs a little: D / (1 - D) instead of D.
    expected = ERRORS[bits] / (1 - ERRORS[bits])
    assert float(error) == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_inner_products_are_not_shrunk(bits):
    """Exact with the vector itself, and right on average with all others."""
    codec = Codec(4096, bits, 1)
    values = vectors(200, 4096) * torch.exp(0.9 * vectors(200, 4096, seed=1))
    found, turned = codec.decode(*codec.encode(values)), codec.rotate(values)
    own = (found * turned).sum(dim=1) / turned.square().sum(dim=1)
    torch.testing.assert_close(own, torch.ones(200), rtol=1e-4, atol=0)
    others = values + 2 * vectors(200, 4096, seed=2) * values.std()
    other = codec.rotate(others)
    exact, coded = (turned * other).sum(dim=1), (found * other).sum(dim=1)
    slope = float((coded @ exact) / (exact @ exact))
    assert slope == pytest.approx(1, abs=0.01 + 0.1 * ERRORS[bits])


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_spiky_rows_are_coded_as_well_as_normal_ones(bits):
    """Without the rotation, spikes cost most of the bits: the negative control."""
    values = vectors(40, 4096) * torch.exp(0.9 * vectors(40, 4096, seed=1))
    codec = Codec(4096, bits, 1)
    found = codec.decode(*codec.encode(values))
    power = values.square().mean()
    turned = float((found - codec.rotate(values)).square().mean() / power)
    assert turned < 1.6 * ERRORS[bits] / (1 - ERRORS[bits]) + 2e-4
    scale = values.square().mean(dim=1, keepdim=True).sqrt() * STEPS[bits]
    half = 2**bits / 2
    steps = (values / scale).floor().clamp(-half, half - 1) + 0.5
    plain = float((steps * scale - values).square().mean() / power)
    assert plain > 1.2 * turned


@pytest.mark.parametrize("bits", sorted(STEPS))
@pytest.mark.parametrize("rows", [1, 64, 130])
def test_products_are_those_of_the_decoded_vectors(bits, rows):
    codec, values = Codec(200, bits, 2), vectors(rows, 200)
    codes, scale = codec.encode(values)
    assert codes.shape == (rows, codec.width)
    assert codec.width == 256 * bits // 8
    queries = codec.rotate(vectors(3, 200, seed=9)).T.contiguous()
    found = codec.products(codes, queries) * scale[:, None]
    torch.testing.assert_close(
        found, codec.decode(codes, scale) @ queries, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_every_code_can_be_read_back_from_its_byte(bits):
    codec = Codec(512, bits, 0)
    random = np.random.default_rng(0)
    codes = torch.from_numpy(random.integers(0, 2**bits, (3, 512)).astype(np.uint8))
    packed = codec._pack(codes)
    assert packed.shape == (3, codec.width)
    assert torch.equal(torch.cat(codec.unpack(packed), dim=1), codes)


def test_a_row_of_zeros_stays_zero():
    values = vectors(3, 128)
    values[1] = 0
    codes, scale = Codec(128, 4, 0).encode(values)
    assert float(scale[1]) == 0
    assert (Codec(128, 4, 0).decode(codes, scale)[1] == 0).all()


def test_a_rows_codes_do_not_depend_on_its_batch():
    codec, values = Codec(300, 4, 0), vectors(20, 300)
    whole, scales = codec.encode(values)
    for size in (1, 7):
        parts = [codec.encode(part) for part in values.split(size)]
        assert torch.equal(torch.cat([c for c, _ in parts]), whole)
        torch.testing.assert_close(torch.cat([s for _, s in parts]), scales)
