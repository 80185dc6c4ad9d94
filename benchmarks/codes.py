"""What the gradient store's rounding does to the highest scores, over rotations.

    .venv/bin/python benchmarks/codes.py [--configfile config/smoke.yaml ...]

Every scheme codes the same rows with 4 bits a coordinate and many seeds; scores are
compared with the exact ones on the rows that these rank highest. Rows are made up
(spiky in several ways) and, with a config, those of a finished `influence` stage.
Prints Markdown; benchmarks/codes.md keeps the last run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from headwater.checkpoints.files import load_for_pass
from headwater.config import read_config_file
from headwater.curvature.files import read_factors
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.influence.files import read_product
from headwater.job import fix_threads
from headwater.projection.codes import Codec
from headwater.projection.coordinates import all_coordinates

BITS, LEVELS, SEEDS, ROWS = 4, 16, 60, 512
COUNT, TOP = 4096, 0.1
NORMAL_STEP = 0.3352  # best for a normal variable without dither


@dataclass(frozen=True)
class Scheme:
    """A way to round. Dithers: none, one for all rows, or each row its own.

    Attributes:
        rounds: of the rotation; 1 mixes groups of 64 and no more.
        clip: whether coordinates beyond the last step are cut off and the row's scale
            makes up for it; otherwise the largest sets the row's step.
        group: coordinates that have a scale of their own; 0 = the whole row.
    """

    rounds: int
    dither: str
    clip: bool = True
    group: int = 0


SCHEMES = {
    "groups of 64, clipped (before)": Scheme(1, "none"),
    "groups of 64, no clipping, dithered": Scheme(1, "shared", clip=False),
    "the same, a step each 256 coordinates": Scheme(1, "shared", False, 256),
    "whole vector": Scheme(3, "none"),
    "whole vector, no clipping, dithered": Scheme(3, "shared", clip=False),
    "whole vector, no clipping, stochastic": Scheme(3, "own", clip=False),
}


@dataclass(frozen=True)
class Partial(Codec):
    """The store's codec with fewer rounds of its rotation."""

    rounds: int

    def _rounds(self, like: Tensor, weights: Tensor | None = None) -> list[Tensor]:
        return super()._rounds(like, weights)[: self.rounds]


def scores(scheme: Scheme, rows: Tensor, query: Tensor, seed: int) -> Tensor:
    """Products of rows, rounded and read back, with a query."""
    codec = Partial(rows.shape[1], BITS, seed, scheme.rounds)
    turned = codec.rotate(rows).unflatten(-1, (-1, scheme.group or codec.padded))
    random = torch.Generator().manual_seed(seed)
    shape = {"none": (1,), "shared": turned.shape[1:], "own": turned.shape}
    dither = torch.rand(shape[scheme.dither], generator=random) - 0.5
    dither = dither * (scheme.dither != "none")
    norms = turned.square().sum(dim=-1, keepdim=True)
    step = (norms / turned.shape[-1]).sqrt() * NORMAL_STEP
    if not scheme.clip:
        largest = turned.abs().amax(dim=-1, keepdim=True)
        step = largest.clamp_min(1e-30) / ((LEVELS - 1) / 2)
    lowest = (1 - LEVELS) / 2 + dither
    codes = (turned / step - lowest).round().clamp(0, LEVELS - 1)
    # Stochastic rounding is dither that the reader does not know.
    read = codes + (lowest if scheme.dither != "own" else (1 - LEVELS) / 2)
    if scheme.clip:
        step = norms / (turned * read).sum(dim=-1, keepdim=True)
    return (read * step).flatten(-2) @ codec.rotate(query).float()


def stored(rows: Tensor, query: Tensor, seed: int) -> Tensor:
    """The same by the store's own codes."""
    codec = Codec(rows.shape[1], BITS, seed)
    codes, scale = codec.encode(rows)
    return codec.products(codes, codec.rotate(query).float()[:, None])[:, 0] * scale


def judged(rows: Tensor, query: Tensor, scored: Callable[..., Tensor]) -> list[str]:
    """Cells of a table about the top 10 % of rows.

    Means over seeds divided by exact scores: of the highest row, of all, of the row
    where it is furthest from 1. How far means are from exact scores, in standard
    errors: root of the mean square, largest. Changed signs in %. Error of one seed's
    scores, relative to the scores' size.
    """
    exact = (rows.double() @ query).numpy()
    top = np.argsort(-exact, kind="stable")[: max(1, round(TOP * len(exact)))]
    rows, exact = rows[top], exact[top]
    found = np.array([scored(rows, query, seed).numpy() for seed in range(SEEDS)])
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / SEEDS**0.5
    off = np.abs(mean - exact) / error
    flipped = 100 * np.mean(np.sign(found) != np.sign(exact))
    size = np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2))
    ratios = mean / exact
    cells = (ratios[0], ratios.mean(), ratios[np.argmax(np.abs(ratios - 1))])
    errors = (np.sqrt(np.mean(off**2)), off.max())
    return [
        *(f"{value:.3f}" for value in cells),
        *(f"{value:.1f}" for value in errors),
        f"{flipped:.2f}",
        f"{size:.3f}",
    ]


def made_up() -> Iterator[tuple[str, Tensor, Tensor]]:
    """(kind, rows, query) of spiky rows."""
    random = np.random.default_rng(0)
    normal = random.standard_normal((ROWS, COUNT))
    query = torch.from_numpy(random.standard_normal(COUNT))
    tailed = random.standard_t(2, normal.shape)
    kinds = {"normal": normal, "Student's t, 2 degrees": tailed}
    for share in (0.9, 0.999):
        rows = normal * ((1 - share) / (normal**2).sum(axis=1, keepdims=True)) ** 0.5
        place = random.integers(COUNT, size=ROWS)
        rows[np.arange(ROWS), place] = share**0.5
        kinds[f"one coordinate has {share:.1%} of the squared norm"] = rows
    base = random.standard_t(1.5, (3, COUNT))
    kinds["rank 3, Student's t"] = random.standard_normal((ROWS, 3)) @ base
    few = np.argsort(random.random(normal.shape), axis=1) < 3
    kinds["3 coordinates"] = normal * few
    for kind, rows in kinds.items():
        yield kind, torch.from_numpy(rows).float(), query


def measured(file: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(target, whitened gradients of sampled rows, query) of a finished experiment."""
    config = read_config_file(file)
    results = Path("results") / config["experiment"]
    shards = range(config["corpus"]["row_shards"])
    rows = [results / "corpus" / f"{number:04d}.zarr" for number in shards]
    _, window = open_window(results / "heads" / "window.json", rows, config)
    sample = window.sample(min(4 * ROWS, len(window)), np.random.default_rng(0))
    model = load_for_pass(results / "heads" / "start", config, "cpu")
    factors = read_factors(results / "curvature" / "start.h5", config)
    products = results / "influence" / "ihvp" / "start"
    for target in config["targets"]:
        product = read_product(products / f"{target}.h5", config)
        unit = product.unit
        scale = all_coordinates(factors, unit.blocks).scale
        passed = gradients_of(
            model,
            torch.from_numpy(window.take(sample)),
            [unit],
            PassOptions(config["gradients"]["batch_size"]),
            factors.bases,
        )
        whitened = [own[unit] / torch.from_numpy(scale) for _, own in passed]
        name = f"{config['experiment']}, {target} ({unit})"
        query = torch.from_numpy(-product.vector * scale)
        yield name, torch.cat(whitened).float(), query


def coding_seconds() -> str:
    """Nanoseconds a coordinate to code, beside one round of the rotation only."""
    lines = ["| coordinates | ns, one round | ns, whole | ratio |", "| --- " * 4 + "|"]
    for count in (2048, 16384, 131072):
        rows = torch.randn(max(1, (1 << 20) // count), count)
        codecs = Partial(count, BITS, 0, 1), Codec(count, BITS, 0)
        turns = [[_seconds(c, rows) for c in codecs] for _ in range(21)][1:]
        one, whole = (
            1e9 * median(column) / rows.numel() for column in zip(*turns, strict=True)
        )
        ratio = median(b / a for a, b in turns)
        lines.append(f"| {count:,} | {one:.1f} | {whole:.1f} | {ratio:.2f} |")
    return "\n".join(lines)


def _seconds(codec: Codec, rows: Tensor) -> float:
    start = time.process_time()
    codec.encode(rows)
    return time.process_time() - start


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--configfile", nargs="*", default=[])
    args = parser.parse_args()
    fix_threads(1)
    kinds = [made_up(), *map(measured, args.configfile)]
    for kind, rows, query in (found for source in kinds for found in source):
        print(f"\n{kind}: top 10 % of {len(rows):,} rows of {rows.shape[1]:,}\n")
        print("| scheme | first | mean | worst | off | most | signs | error |")
        print("| --- " * 8 + "|")
        for name, scheme in SCHEMES.items():
            cells = judged(rows, query, lambda *a, s=scheme: scores(s, *a))
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        cells = judged(rows, query, stored)
        print(f"| **whole vector, clipped, dithered** | {' | '.join(cells)} |")
    print(f"\n{coding_seconds()}")


if __name__ == "__main__":
    main()
