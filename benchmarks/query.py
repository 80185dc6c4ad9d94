"""A new probe over a million stored rows, beside NumPy reading as many bytes."""

import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
import zarr

from headwater.geometry import Geometry
from headwater.influence.scores import score_store
from headwater.projection.coordinates import Coordinates, Projection
from headwater.projection.store import UnitRows
from headwater.projection.writer import GradientWriter
from headwater.units import parse

ROWS, COORDINATES, BITS, BLOCK = 1_000_000, 1024, 4, 8192
ROUNDS = 5
UNIT = parse("L0H0", Geometry(layers=1, heads=4, hidden=32), "qkvo")


def write_store(folder: Path) -> zarr.Group:
    """A store of random rows, by the library's own writer."""
    kept = Coordinates(np.arange(COORDINATES), np.ones(COORDINATES))
    writer = GradientWriter(folder, {}, 0, ROWS, {UNIT: Projection(kept, BITS, 0)})
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(BLOCK, COORDINATES, generator=generator)
    for start in range(0, ROWS, BLOCK):
        size = min(BLOCK, ROWS - start)
        writer.append({UNIT: rows[:size]}, torch.zeros(size))
    writer.close()
    return zarr.open_group(folder, mode="r")


def plain(path: Path, width: int, query: np.ndarray) -> None:
    """Read a float16 file of as many bytes, block by block, and multiply."""
    with path.open("rb") as file:
        for start in range(0, ROWS, BLOCK):
            size = min(BLOCK, ROWS - start)
            block = np.fromfile(file, np.float16, size * width).reshape(size, width)
            # In pieces that stay in the cache: the fastest way that NumPy has.
            for piece in np.split(block, range(64, size, 64)):
                piece.astype(np.float32) @ query


def measure(folder: Path) -> dict[str, float]:
    """Bandwidths in GB/s of stored bytes, and their ratio."""
    torch.set_num_threads(1)
    rows = UnitRows(write_store(folder / "store.zarr"), str(UNIT))
    width = rows.projection.codec.width // 2
    random = np.random.default_rng(0)
    path, size = folder / "plain.f16", ROWS * width * 2
    with path.open("wb") as file:
        block = random.standard_normal((BLOCK, width)).astype(np.float16)
        for start in range(0, ROWS, BLOCK):
            block[: min(BLOCK, ROWS - start)].tofile(file)
    query = random.standard_normal(width).astype(np.float32)
    product = random.standard_normal(COORDINATES)
    score_store(rows, [product])
    plain(path, width, query)
    seconds: dict[str, list[float]] = {"ours": [], "numpy": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        score_store(rows, [product])
        seconds["ours"].append(time.perf_counter() - start)
        start = time.perf_counter()
        plain(path, width, query)
        seconds["numpy"].append(time.perf_counter() - start)
    pairs = zip(seconds["numpy"], seconds["ours"], strict=True)
    return {
        "ratio_to_numpy": round(median(a / b for a, b in pairs), 2),
        "gb_per_second": round(size / median(seconds["ours"]) / 1e9, 2),
        "numpy_gb_per_second": round(size / median(seconds["numpy"]) / 1e9, 2),
        "bytes": size,
    }
