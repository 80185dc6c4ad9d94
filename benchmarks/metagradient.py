"""What a metagradient costs beside the training, and what bf16 does to its scores.

    PYTHONPATH=scripts .venv/bin/python benchmarks/metagradient.py

The model of config/config.yaml, its tokens the bytes of resources/natural, trained for
`WARM` steps; then a window of `STEPS`, there and back, for one target. CPU seconds.
"""

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from backports import zstd
from scipy.stats import spearmanr

from headwater import job
from headwater.config import read_config_file
from headwater.heads.sequences import repeated_sequences
from headwater.metagradient.backward import Backward, WayBack
from headwater.metagradient.metric import Metric
from headwater.metagradient.replay import Replay
from headwater.models.sections import unit_of
from headwater.probes import find_probe
from headwater.training.recipe import make_optimizer
from headwater.training.run import new_model, recipe_of
from headwater.training.trainer import train

WARM, STEPS, VOCABULARY = 100, 20, 512
WINDOW = range(WARM, WARM + STEPS)
MEASURED = [WINDOW.stop - 10, WINDOW.stop]


def rows_of_text(count: int, width: int) -> torch.Tensor:
    """Rows of the bytes of the natural corpus."""
    files = sorted(Path("resources/natural").rglob("*.zst"))
    text = b"".join(zstd.decompress(path.read_bytes()) for path in files)
    starts = np.random.default_rng(0).integers(0, len(text) - width, count)
    rows = [np.frombuffer(text, np.uint8, width, int(start)) for start in starts]
    return torch.from_numpy(np.stack(rows).astype(np.int64))


def timed(work, *arguments):
    """What some work returns, and its CPU seconds."""
    start = time.process_time()
    found = work(*arguments)
    return found, time.process_time() - start


def silent(step: int, loss: float) -> None:
    """Hear of a step, and do nothing."""


def measure(config, precision: str, batch, metric: Metric) -> None:
    """Print what a window costs in one precision of the training."""
    recipe = dataclasses.replace(recipe_of(config), precision=precision)
    model = new_model(config, VOCABULARY, 0)
    optimizer = make_optimizer(model, recipe)
    train(model, optimizer, recipe, batch, range(WARM), silent)
    replay = Replay(model, optimizer, recipe, batch)
    begin, size = replay.state(), config["training"]["batch_size"]
    _, plain = timed(train, model, optimizer, recipe, batch, WINDOW, silent)
    replay.put(begin)
    steps, again = timed(lambda: list(replay.steps(WINDOW)))
    end = replay.state().weights
    replay.put(begin)
    kept = [step.update.gradient for step in steps]
    _, rebuilt = timed(lambda: list(replay.steps(WINDOW, kept)))
    scores = {}
    for products in dict.fromkeys(("fp32", precision)):
        replay.recipe = dataclasses.replace(recipe, precision=products)
        backward = Backward(replay, [metric], WINDOW, MEASURED)
        way = WayBack.begin(end, 1, STEPS, size, len(MEASURED))
        way, back = timed(backward.through, steps, end, way)
        scores[products] = way.scores[0].double().numpy()
        print(
            f"training {precision}, products {products}: a step {plain / STEPS:.3f} s; "
            f"in trainings of the window: back {back / plain:.2f}, made again "
            f"{again / plain:.2f}, made again from gradients {rebuilt / plain:.2f}; "
            f"in all {(again + back) / plain:.2f}, without checkpoints "
            f"{(plain + again + back) / plain:.2f}",
            flush=True,
        )
    if precision != "fp32":
        exact, found = scores["fp32"], scores[precision]
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        agreement = spearmanr(exact, found).statistic
        print(f"{precision} products: Spearman {agreement:.5f}, error {error:.4f}")


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    job._keep_freed_memory()
    config = read_config_file(Path("config/config.yaml"))
    size, width = config["training"]["batch_size"], config["corpus"]["seq_len"] + 1
    rows, ones = rows_of_text((WARM + STEPS) * size, width), torch.ones(size)
    data = repeated_sequences(64, config["heads"], np.arange(32, 128), 1)
    unit = unit_of("L2H2", config)
    metric = Metric(find_probe("prefix_matching"), unit, data)

    def batch(step):
        return rows[step * size : (step + 1) * size], ones

    for precision in ("fp32", "bf16"):
        measure(config, precision, batch, metric)


if __name__ == "__main__":
    main()
