"""How fast rows of tokens are read and made, as ratios within one run.

    python benchmarks/corpus.py [--megabytes 64] [--tokenizer tokenizer.json]

1. Rows of a local pre-shuffled file, in blocks as the workflow reads them, against a
   plain NumPy copy of the same memory-mapped rows.
2. A `.jsonl.zst` shard to packed rows, against the tokenizer's own `encode_batch` of
   the same documents in memory.
3. Peak memory of packing a shard and of copying pre-shuffled rows, each for a small and
   a large input: it must not grow with the input.

Each ratio is measured three times, from the best of three passes of each side, the
sides in turn, on one thread. Results: benchmarks/corpus.md.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from headwater.corpus.documents import DocumentReader, zstd
from headwater.corpus.encoding import Encoder
from headwater.corpus.needs import RowNeeds
from headwater.corpus.ordering import order_rows
from headwater.corpus.packing import pack_source
from headwater.corpus.tokenfiles import TokenFiles
from headwater.corpus.tokenrows import SourceOrder

CORPUS = Path(__file__).resolve().parent.parent / "resources/corpus"
WIDTH, BLOCK = 2049, 1024
STAMP = {"stage": "corpus", "format": 1, "settings": {}}
REPEATS = 3


def main() -> None:
    """Measure everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--tokenizer", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = str(arguments.tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), arguments.megabytes
        print("| measured | ratios | median |\n| --- | --- | --- |")
        _print_row("pre-shuffled rows / NumPy copy", rows_ratio(folder, 8 * size))
        _print_row("tokenise and pack / encode_batch", pack_ratio(folder, tokenizer))
        for label, job, sizes in (
            ("packing", pack_job, (size // 8, size)),
            ("copying rows", copy_job, (size // 8, size)),
        ):
            for megabytes in sizes:
                peak = peak_memory(job, folder, tokenizer, megabytes)
                print(f"| peak memory, {label}, {megabytes} MB | {peak:.0f} MB | |")


def _print_row(label: str, ratios: list[float]) -> None:
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"| {label} | {shown} | {statistics.median(ratios):.2f} |", flush=True)


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratios(plain: Callable[[], Any], ours: Callable[[], Any]) -> list[float]:
    """Speed of our side relative to the plain one, `REPEATS` times."""
    plain()  # so that files are in memory
    found = []
    for _ in range(REPEATS):
        times = [(seconds(plain), seconds(ours)) for _ in range(REPEATS)]
        found.append(min(a for a, _ in times) / min(b for _, b in times))
    return found


def rows_ratio(folder: Path, megabytes: int) -> list[float]:
    """Speed of `TokenFiles` relative to a plain copy from a memory map."""
    path = write_rows(folder, megabytes)
    files = TokenFiles([path], WIDTH)

    def ours() -> None:
        for _ in files.blocks(0, len(files), BLOCK):
            pass

    def plain() -> None:
        mapped = np.memmap(path, np.uint16, mode="r").reshape(-1, WIDTH)
        for first in range(0, len(mapped), BLOCK):
            np.array(mapped[first : first + BLOCK])

    return ratios(plain, ours)


def write_rows(folder: Path, megabytes: int) -> Path:
    """A pre-shuffled file of random ids."""
    path = folder / f"{megabytes}.bin"
    count = megabytes * 1_000_000 // (2 * WIDTH)
    draw = np.random.default_rng(0)
    with path.open("wb") as file:
        for first in range(0, count, 4096):
            rows = min(4096, count - first)
            file.write(draw.integers(2, 50_000, (rows, WIDTH), np.uint16).tobytes())
    return path


def pack_ratio(folder: Path, tokenizer: str) -> list[float]:
    """Speed of packing relative to the tokenizer alone, on the repository's corpus."""
    shard = write_shard(folder, 0)
    texts = [document.text for document in DocumentReader(shard, "fail")]
    plain = Tokenizer.from_file(tokenizer)

    def ours() -> None:
        encoder = Encoder(Tokenizer.from_file(tokenizer), 0)
        config = pack_config(0.0)
        pack_source(folder / "packed.zarr", "a", shard, encoder, config, STAMP)

    def batches() -> None:
        for first in range(0, len(texts), 1000):
            plain.encode_batch(texts[first : first + 1000], add_special_tokens=False)

    return ratios(batches, ours)


def write_shard(folder: Path, megabytes: int) -> Path:
    """A shard of the repository's documents, repeated to a size (0: once)."""
    path = folder / f"{megabytes}.jsonl.zst"
    lines = [
        json.dumps({"text": d.text, "meta": {"pile_set_name": d.domain}}).encode()
        for source in sorted(CORPUS.glob("*.jsonl.zst"))
        for d in DocumentReader(source, "fail")
    ]
    written = 0
    with zstd.open(path, "wb") as file:
        while True:
            for line in lines:
                written += file.write(line + b"\n")
                if 0 < megabytes * 1_000_000 <= written:
                    return path
            if not megabytes:
                return path


def pack_config(held_out: float) -> dict[str, Any]:
    """The keys of a config that packing reads."""
    corpus = {"seq_len": WIDTH - 1, "on_bad_line": "fail"}
    return {"seed": 0, "corpus": {**corpus, "held_out": {"fraction": held_out}}}


def pack_job(folder: Path, tokenizer: str, megabytes: int) -> None:
    """Pack a shard of that much text."""
    encoder = Encoder(Tokenizer.from_file(tokenizer), 0)
    shard = write_shard(folder, megabytes)
    pack_source(folder / "p.zarr", "a", shard, encoder, pack_config(0.05), STAMP)


def copy_job(folder: Path, tokenizer: str, megabytes: int) -> None:
    """Copy that much of pre-shuffled rows."""
    encoder = Encoder(Tokenizer.from_file(tokenizer), 0)
    files = TokenFiles([write_rows(folder, megabytes)], WIDTH)
    needs = RowNeeds(WIDTH, len(files), 0, 1024, encoder.vocabulary)
    order = SourceOrder(files, encoder, needs)
    order_rows(folder / "c.zarr", 0, 1, order, encoder.vocabulary, STAMP)


def peak_memory(job: Callable[..., None], *arguments: Any) -> float:
    """Peak resident memory of a job in a process of its own, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(_peak, (job, *arguments))


def _peak(job: Callable[..., None], *arguments: Any) -> float:
    job(*arguments)
    # Not `getrusage`, which a process inherits from the one that started it.
    (line,) = [
        x
        for x in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if "VmHWM" in x
    ]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
