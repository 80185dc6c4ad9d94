"""`make bench`: how fast the core is, beside a plain training step, in one run.

Every variant has a process of its own, so that its memory is its own and the plain
training step runs under the allocator's plain settings. The variants take turns, round
by round, and the ratios are medians over rounds: a busy machine slows all alike.
On a CPU, seconds are the process's own (one thread); on a GPU they are wall time.

Writes benchmarks/latest.json and prints the same as a table.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scripts"), str(HERE)]

# shape, tokens, rows a turn, batch sizes tried
CASES = {
    "14m_512": ("14m", 512, 4, (1, 4)),
    "14m_2048": ("14m", 2048, 1, (1,)),
    "70m_512": ("70m", 512, 2, (1, 2)),
    "70m_2048": ("70m", 2048, 1, (1,)),
    "llama_512": ("llama", 512, 2, (1, 2)),
}
VARIANTS = {
    "floor": "plain training step, Hugging Face",
    "limit": "frozen model, chunked loss, no hooks",
    "scores_all_heads": "exact scores, 1 probe a head",
    "scores_all_heads_8_probes": "exact scores, 8 probes a head",
    "stored_all_heads": "gradients into the store, 4 bits",
    "scores_layer_neurons": "exact scores, all neurons of the middle layer",
    "stored_layer_neurons": "their gradients into the store, 4 bits",
    "covariances": "EK-FAC, first pass",
    "lambdas": "EK-FAC, second pass",
}
ROUNDS = 5


def work(case: str, variant: str, batch: int, precision: str, device: str) -> None:
    """A variant's own process: one turn a line of input, its seconds as the answer."""
    import core
    import torch

    from headwater.job import fix_threads

    torch.set_num_threads(1)
    if variant != "floor":
        fix_threads(1)
    shape, length, rows, _ = CASES[case]
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    model = core.new_model(shape, dtype, device)
    turn = core.turn(variant, model, core.zipf_rows(rows, length), batch)
    gpu = device != "cpu"
    clock = time.perf_counter if gpu else time.process_time
    gflop = None
    for _ in sys.stdin:
        if gpu:
            torch.cuda.synchronize()
        start = clock()
        if gflop is None:  # the first turn warms up and is counted, not timed
            gflop = matrix_gflop(turn) / rows
        else:
            turn()
        if gpu:
            torch.cuda.synchronize()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if gpu:
            peak = torch.cuda.max_memory_allocated() / 2**20
        answer = {"seconds": clock() - start, "peak_mb": round(peak), "gflop": gflop}
        print(json.dumps(answer), flush=True)


def matrix_gflop(turn: Callable[[], None]) -> float:
    """10^9 operations of a turn's matrix products; attention's own are not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        turn()
    return counter.get_total_flops() / 1e9


class Worker:
    """A variant's process, seen from outside."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, __file__, "--worker", *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def turn(self) -> dict:
        """One turn."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(case: str, precision: str, device: str) -> dict[str, dict]:
    """Every variant, in turns, at the floor's best batch size: key to numbers."""
    _, _, rows, batches = CASES[case]
    tried = {}
    for batch in batches if len(batches) > 1 else ():
        worker = Worker(case, "floor", str(batch), precision, device)
        worker.turn()
        tried[batch] = worker.turn()["seconds"]
        worker.close()
    best = min(tried, key=lambda batch: tried[batch]) if tried else batches[0]
    workers = {v: Worker(case, v, str(best), precision, device) for v in VARIANTS}
    for worker in workers.values():
        worker.turn()
    rounds = [{v: w.turn() for v, w in workers.items()} for _ in range(ROUNDS)]
    for worker in workers.values():
        worker.close()
    seconds = {v: [turn[v]["seconds"] for turn in rounds] for v in VARIANTS}
    result = {}
    for variant in VARIANTS:
        ratios = {
            f"ratio_to_{other}": round(
                median(
                    a / b for a, b in zip(seconds[other], seconds[variant], strict=True)
                ),
                2,
            )
            for other in ("floor", "limit")
        }
        result[f"{variant}_{case}_{precision}"] = {
            **ratios,
            "samples_per_second": round(rows / median(seconds[variant]), 2),
            "peak_mb": rounds[-1][variant]["peak_mb"],
            "gflop_per_row": round(rounds[-1][variant]["gflop"], 2),
            "batch": best,
        }
    both = [result[f"{v}_{case}_{precision}"] for v in ("covariances", "lambdas")]
    result[f"factors_{case}_{precision}"] = min(both, key=lambda x: x["ratio_to_floor"])
    return result


def machine(device: str) -> dict[str, str]:
    """What it was measured on."""
    import numpy
    import torch
    import transformers
    import zarr

    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    if device != "cpu":
        name = torch.cuda.get_device_name()
    versions = {m.__name__: m.__version__ for m in (torch, transformers, numpy, zarr)}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": name,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **versions,
    }


def table(results: dict[str, dict]) -> str:
    """Results as Markdown."""
    lines = [
        "| key | x floor | x limit | rows/s | peak MB | GFLOP/row |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key, value in results.items():
        if "samples_per_second" in value:
            cells = (
                f"{value['ratio_to_floor']:.2f}",
                f"{value.get('ratio_to_limit', float('nan')):.2f}",
                f"{value['samples_per_second']:.2f}",
                f"{value['peak_mb']}",
                f"{value['gflop_per_row']:.1f}",
            )
            lines.append(f"| `{key}` | {' | '.join(cells)} |")
        else:
            lines.append(f"| `{key}` | {json.dumps(value)} | | | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure all cases, or be the process of one variant."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--worker", nargs=5)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--precisions", nargs="*", default=["fp32", "bf16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", default=str(HERE / "latest.json"))
    args = parser.parse_args()
    if args.worker:
        case, variant, batch, precision, device = args.worker
        work(case, variant, int(batch), precision, device)
        return
    os.environ["PYTHONPATH"] = str(HERE.parent / "scripts")  # for the trainer's own
    import query
    import trainer

    results: dict[str, dict] = {}
    for precision in args.precisions:
        for case in args.cases:
            print(f"{case} {precision} ...", file=sys.stderr)
            results |= measure(case, precision, args.device)
    if args.device == "cpu":
        with tempfile.TemporaryDirectory(dir=HERE) as folder:
            results["query_1m_rows"] = query.measure(Path(folder))
        results |= trainer.benchmark()
    found = {"machine": machine(args.device), "results": results}
    Path(args.output).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print("; ".join(f"{k} {v}" for k, v in found["machine"].items()))
    print(table(results))


if __name__ == "__main__":
    main()
