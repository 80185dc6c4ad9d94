"""Rows per second of the trainer beside those of plain `transformers`, in one loop.

    PYTHONPATH=scripts python benchmarks/trainer.py

Each measurement is a process of its own, on one thread: a warm-up, then steps of one
batch for some seconds. Seconds are the process's CPU seconds, which on a quiet machine
are those of the clock; the best step of a kind counts, and the kinds take turns. So a
busy neighbour does not decide. Three kinds of loss and attention, all else being the
trainer's own (same model, batch, AdamW, clipping), and a bound:

    plain     full logits and autograd, memory handled as Python starts with it: the
              loop that one writes oneself
    tuned     the same, with the allocator setting that Headwater's jobs make
    trainer   Headwater's
    products  the matrix products of a step and nothing else: what the machine's product
              rate at these shapes allows
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("plain", "tuned", "trainer", "products")
SHAPES: dict[str, dict[str, int]] = {
    "natural": {
        "vocab_size": 2048,
        "hidden_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 384,
        "length": 256,
        "batch": 8,
    },
    "14m_512": {
        "vocab_size": 50304,
        "hidden_size": 128,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "length": 512,
        "batch": 4,
    },
    "planted": {
        "vocab_size": 320,
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "length": 64,
        "batch": 32,
    },
}


PRECISIONS = {"natural": ("fp32", "bf16"), "14m_512": ("fp32",), "planted": ("fp32",)}


def measure(kind: str, shape: str, precision: str, seconds: float) -> dict[str, float]:
    """Train one model in this process: rows per second and peak memory in GB."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from headwater import job
    from headwater.training import trainer
    from headwater.training.recipe import Recipe, make_optimizer

    torch.set_num_threads(1)
    if kind != "plain":
        job.fix_threads(1)
    if kind == "products":
        return {"rows_per_second": products(shape, precision, seconds), "peak_gb": 0.0}
    if kind != "trainer":
        trainer.weighted_loss = full_logits
    sizes = dict(SHAPES[shape])
    length, batch = sizes.pop("length"), sizes.pop("batch")
    torch.manual_seed(0)
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, rotary_pct=0.25))
    recipe = Recipe(1e-3, 0, (0.9, 0.95), 1e-8, 0.1, 1.0, precision=precision)
    rows = torch.randint(0, sizes["vocab_size"], (batch, length + 1))
    optimizer, weights, best = make_optimizer(model, recipe), torch.ones(batch), 0.0
    end = time.monotonic() + seconds
    step = 0
    while step < 4 or time.monotonic() < end:
        begin = time.process_time()
        trainer.train(
            model,
            optimizer,
            recipe,
            lambda _: (rows, weights),
            range(step, step + 1),
            lambda *_: None,
        )
        step += 1
        if step > 2:
            best = max(best, batch / (time.process_time() - begin))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"rows_per_second": best, "peak_gb": peak}


def full_logits(model: Any, rows: Any, weights: Any, count: Any, compute: Any) -> Any:
    """The loss as one writes it with plain `transformers`."""
    import torch
    from torch.nn.functional import cross_entropy

    with torch.autocast("cpu", compute, enabled=compute is not None):
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits.float()
    losses = cross_entropy(
        logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none"
    )
    return (losses.view(len(rows), -1).mean(dim=1) * weights).sum() / count


def products(shape: str, precision: str, seconds: float) -> float:
    """Rows per second of the products of a step: forward, and both of the backward."""
    import torch

    from headwater.training.recipe import COMPUTE

    size, kind = SHAPES[shape], COMPUTE[precision] or torch.float32
    width, wide, length = (
        size[name] for name in ("hidden_size", "intermediate_size", "length")
    )
    tokens, layers = size["batch"] * length, size["num_hidden_layers"]
    linear = [(3 * width, width), (width, width), (wide, width), (width, wide)]
    pairs = [
        (torch.randn(tokens, i).to(kind), torch.randn(o, i).to(kind))
        for o, i in [*linear * layers, (size["vocab_size"], width)]
    ]
    slopes = [torch.randn(tokens, len(weight)).to(kind) for _, weight in pairs]
    heads = size["batch"] * size["num_attention_heads"]
    narrow = torch.randn(heads, length, width // size["num_attention_heads"]).to(kind)
    square = torch.randn(heads, length, length).to(kind)
    best, end = 0.0, time.monotonic() + seconds
    while not best or time.monotonic() < end:
        begin = time.process_time()
        for (inputs, weight), slope in zip(pairs, slopes, strict=True):
            inputs @ weight.T, slope @ weight, slope.T @ inputs
        for _ in range(layers):  # scores, output, and four products backwards
            narrow @ narrow.mT, square @ narrow, narrow @ narrow.mT
            square.mT @ narrow, square @ narrow, square.mT @ narrow
        best = max(best, size["batch"] / (time.process_time() - begin))
    return best


def benchmark(seconds: float = 8.0, rounds: int = 3) -> dict[str, dict[str, Any]]:
    """The whole table.

    Args:
        seconds: of each measurement.
        rounds: measurements of each kind.

    Returns:
        One entry a shape, `trainer_<shape>_<precision>`: `rows_per_second` and
        `peak_gb` of each kind, and `ratio` of the trainer to `plain`, `ratio_tuned` to
        `tuned`, `ratio_products` to `products`.
    """
    return {
        f"trainer_{shape}_{precision}": _compare(shape, precision, seconds, rounds)
        for shape, precisions in PRECISIONS.items()
        for precision in precisions
    }


def _compare(shape: str, precision: str, seconds: float, rounds: int) -> dict[str, Any]:
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for kind in KINDS:
            found = _in_a_process(kind, shape, precision, seconds)
            if found["rows_per_second"] > best.get(kind, {}).get("rows_per_second", 0):
                best[kind] = found
    own = best["trainer"]["rows_per_second"]
    return {
        "ratio": own / best["plain"]["rows_per_second"],
        "ratio_tuned": own / best["tuned"]["rows_per_second"],
        "ratio_products": own / best["products"]["rows_per_second"],
        "rows_per_second": {kind: best[kind]["rows_per_second"] for kind in KINDS},
        "peak_gb": {kind: best[kind]["peak_gb"] for kind in KINDS},
    }


def _in_a_process(
    kind: str, shape: str, precision: str, seconds: float
) -> dict[str, float]:
    command = [sys.executable, __file__, "--kind", kind, "--shape", shape]
    command += ["--precision", precision, "--seconds", str(seconds)]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    result: dict[str, float] = json.loads(output.stdout)
    return result


def environment() -> dict[str, str]:
    """Machine and versions, for beside the numbers."""
    import torch
    import transformers

    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": "1",
    }


def main() -> None:
    """Print the table, or, with `--kind`, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--shape", choices=SHAPES, default="14m_512")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.kind:
        print(
            json.dumps(measure(given.kind, given.shape, given.precision, given.seconds))
        )
    else:
        table = benchmark(given.seconds, given.rounds)
        print(json.dumps({"environment": environment(), **table}, indent=2))


if __name__ == "__main__":
    main()
