"""Codes: what the rotation keeps, how large the error is, how codes are packed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.projection.codes import MIX, STEPS, Codec

# Least mean squared error of equal dithered steps for a normal variable of variance 1,
# by numerical integration.
ERRORS = {1: 0.4438, 2: 0.1290, 4: 0.01165, 8: 8.77e-5}


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


@pytest.mark.parametrize("count", [1, 63, 64, 100, 768, 16384])
def test_a_rotation_is_turned_back(count):
    codec, values = Codec(count, 4, 3), vectors(5, count).double()
    torch.testing.assert_close(codec.turn_back(codec.rotate(values)), values)


def test_rotation_depends_on_its_seed_only():
    values = vectors(2, 128)
    first = Codec(128, 4, 3).rotate(values)
    assert torch.equal(first, Codec(128, 2, 3).rotate(values))
    assert not torch.allclose(first, Codec(128, 4, 4).rotate(values))


@pytest.mark.parametrize("count", [64, 100, 768, 4096, 16384, 196608])
def test_rotation_spreads_a_spike_over_the_whole_vector(count):
    """Any spike: its largest coordinate afterwards is that of a normal vector."""
    spikes = torch.zeros(4, count)
    spikes[range(4), [0, 17, count // 2, count - 1]] = 1
    turned = Codec(count, 4, 0).rotate(spikes) * Codec(count, 4, 0).padded ** 0.5
    assert float(turned.abs().max()) < 5.5
    assert ((turned.abs() > 0.1).float().mean(dim=1) > 0.4).all()


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_the_error_is_that_of_the_best_equal_steps(bits):
    codec, values = Codec(4096, bits, 1), vectors(40, 4096)
    found = codec.decode(*codec.encode(values))
    error = (found - codec.rotate(values)).square().mean() / values.square().mean()
    # The scale that makes up for shrinking costs a little: D / (1 - D) instead of D.
    expected = ERRORS[bits] / (1 - ERRORS[bits])
    assert float(error) == pytest.approx(expected, rel=0.08)


def test_norms_are_kept_whatever_the_coordinates_were_divided_by():
    codec, values = Codec(4096, 4, 1), vectors(40, 4096)
    scale = torch.logspace(-1, 1, 4096)
    codes = codec.encode(values * scale, 1 / scale)
    found = (codec.turn_back(codec.decode(*codes)) * scale).norm(dim=1)
    torch.testing.assert_close(found, (values * scale).norm(dim=1), rtol=0.02, atol=0)


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_inner_products_are_not_shrunk(bits):
    """Exact with the vector itself, and right on average over all others."""
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


def spiky(kind: str, count: int, seed: int = 0) -> np.ndarray:
    """A row that steps of its usual size cut off, of length 1."""
    random = np.random.default_rng(seed)
    name, _, number = kind.partition(" ")
    row = random.standard_normal(count)
    if name == "spike":  # one coordinate with this share of the squared norm
        row *= ((1 - float(number)) / (row @ row)) ** 0.5
        row[random.integers(count)] = float(number) ** 0.5
    elif name == "sparse":  # so many coordinates that are not zero
        row[random.permutation(count)[int(number) :]] = 0
    elif name == "tails":  # so many degrees of freedom
        row = random.standard_t(float(number), count)
    else:  # low rank: an outer product of tailed vectors
        left, right = random.standard_t(2, (2, count))
        row = np.outer(left[: count // 16], right[:16]).ravel()
    return row / np.linalg.norm(row)


def deviations(rows: np.ndarray, bits: int, seeds: int) -> tuple[np.ndarray, ...]:
    """Products with unit queries over seeds, less the exact ones: mean and its standard
    error, both in a coded vector's usual error.
    """
    random, count = np.random.default_rng(1), rows.shape[1]
    queries = random.standard_normal((count, 3)) / count**0.5
    found = []
    for seed in range(seeds):
        codec = Codec(count, bits, seed)
        codes, scale = codec.encode(torch.from_numpy(rows))
        turned = codec.rotate(torch.from_numpy(queries.T)).T.float().contiguous()
        found.append((codec.products(codes, turned) * scale[:, None]).numpy())
    off = np.array(found) - rows @ queries
    return off.mean(axis=0), off.std(axis=0, ddof=1) / seeds**0.5


KINDS = ["spike 0.9", "spike 0.999", "spike 0.99999", "sparse 1", "sparse 2"]
KINDS += ["sparse 7", "tails 1", "tails 2", "tails 4", "outer"]


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_products_of_spiky_rows_are_right_on_average_over_seeds(bits):
    """30 means of 100 seeds each: none beyond what chance does, nor all together."""
    rows = np.array([spiky(kind, 512, seed) for seed, kind in enumerate(KINDS)])
    mean, error = deviations(rows, bits, 100)
    assert np.abs(mean / error).max() < 4
    assert ((mean / error) ** 2).mean() < 1.6
    usual = (ERRORS[bits] / (1 - ERRORS[bits])) ** 0.5 / 512**0.5
    assert error.max() < 3 * usual / 10  # 8 bits feel a single coordinate cut off


@settings(max_examples=10, derandomize=True, deadline=None)
@given(
    kind=st.one_of(
        st.floats(0.5, 0.999999).map("spike {}".format),
        st.integers(1, 40).map("sparse {}".format),
        st.floats(0.8, 8).map("tails {}".format),
    ),
    count=st.integers(65, 700),
    seed=st.integers(0, 99),
)
def test_no_row_is_biased(kind, count, seed):
    mean, error = deviations(spiky(kind, count, seed)[None], 4, 50)
    assert np.abs(mean / error).max() < 4.8


@pytest.mark.parametrize("bits", sorted(STEPS))
def test_spiky_rows_are_coded_as_well_as_normal_ones(bits):
    rows = np.array([spiky(kind, 4096, seed) for kind in KINDS for seed in range(4)])
    codec = Codec(4096, bits, 1)
    found = codec.decode(*codec.encode(torch.from_numpy(rows)))
    error = (found - codec.rotate(torch.from_numpy(rows))).square().sum(dim=1)
    usual = ERRORS[bits] / (1 - ERRORS[bits])
    assert float(error.mean()) < 1.1 * usual
    assert float(error.max()) < 1.25 * usual + 2e-4


def twin(row: np.ndarray, bits: int, seed: int) -> tuple[np.ndarray, float]:
    """The same codes and scale of one row, one coordinate after the other."""
    groups = -(-len(row) // 64)
    size = 64 * groups
    rounds = max(3, int(np.ceil(np.log2(size) / 6)))
    stream = np.random.Generator(np.random.Philox(seed))
    signs = stream.integers(0, 2, (rounds, size)) * 2 - 1
    dither = stream.random(size).astype(np.float32).astype(float) - 0.5
    values = [*row, *[0.0] * (size - len(row))]
    for flips in signs:
        values = [v * s for v, s in zip(values, flips, strict=True)]
        mixed = []
        for group in range(groups):
            members = values[group::groups]
            for k in range(64):
                terms = (m * (-1) ** (j & k).bit_count() for j, m in enumerate(members))
                mixed.append(sum(terms) / 8)
        values = mixed
    norm = sum(v * v for v in values) ** 0.5
    step, middle = STEPS[bits] * norm / size**0.5, (2**bits - 1) / 2
    codes = [
        min(max(round(v / step - d + middle), 0), 2**bits - 1)
        for v, d in zip(values, dither, strict=True)
    ]
    kept = sum(
        v * (c + d - middle) for v, c, d in zip(values, codes, dither, strict=True)
    )
    return np.array(codes), norm**2 / kept


@pytest.mark.parametrize("bits", sorted(STEPS))
@pytest.mark.parametrize("count", [40, 64, 300])
def test_codes_are_those_of_a_slow_twin(bits, count):
    codec, row = Codec(count, bits, 11), spiky("tails 2", count, bits)
    codes, scale = codec.encode(torch.from_numpy(row)[None])
    expected, size = twin(row, bits, 11)
    found = torch.cat(codec.unpack(codes), dim=1)[0].numpy()
    np.testing.assert_array_equal(found, expected)
    assert float(scale) == pytest.approx(size, rel=1e-6)


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
