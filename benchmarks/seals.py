"""What it costs that results know their content.

    .venv/bin/python benchmarks/seals.py [results/EXPERIMENT]

For every job of a finished experiment: CPU seconds to check its inputs and to digest
its outputs again, beside those that the job took (its seconds where that is not known).
Then a gradient store of random codes, scored with the checksums of its chunks and
without.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from headwater import seals
from headwater.digests import content_of
from headwater.freshness import settle
from headwater.projection.codes import Codec
from headwater.shardfile import ShardFile
from headwater.stores import create_array, create_group, values

ROUNDS = 5
ROWS, CHUNK, WIDTH = 1 << 13, 128, 1 << 15  # 256 MiB, in chunks of 4 MiB


def seconds(work):
    """Median CPU seconds of some rounds of a call."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def checks(results):
    """By rule: jobs, their seconds, seconds of their checks."""
    jobs = defaultdict(list)
    for record in results.rglob(f".*{seals.SUFFIX}"):
        path = seals.sealed(record)
        jobs[seals.read(path).job].append(path)
    rules = defaultdict(lambda: np.zeros(3))
    for job, outputs in jobs.items():
        benchmark = results / "benchmarks" / f"{job}.tsv"
        if not benchmark.exists():
            continue
        made_of = seals.read(outputs[0]).made_of
        inputs = [outputs[0].parent / name for name in made_of]
        paths = [str(path.resolve().relative_to(Path.cwd())) for path in inputs]
        spent = seconds(lambda paths=paths: seals.inputs(paths, results))
        spent += seconds(lambda outputs=outputs: [content_of(o) for o in outputs])
        line = pd.read_csv(benchmark, sep="\t").iloc[0]
        took = line.cpu_time if line.cpu_time > 0 else line.s
        rules[Path(job).name.split("-")[0]] += 1, took, spent
    return rules


def store(folder, checked):
    """A store of random codes, as `projection.writer` does, or without checksums."""
    group = create_group(folder, {})
    shape, chunks = (ROWS, 1, WIDTH), (CHUNK, 1, WIDTH)
    make = partial(group.create_array, "codes", shape=shape, dtype="u1", chunks=chunks)
    if checked:
        create_array(group, "codes", shape, np.dtype(np.uint8), chunks, shape, False)
    else:
        make(shards=shape, compressors=None)
    file = ShardFile(folder / "codes/c/0/0/0", (ROWS // CHUNK, 1, 1))
    draw = np.random.default_rng(0)
    for place in range(ROWS // CHUNK):
        chunk = np.frombuffer(draw.bytes(CHUNK * WIDTH), np.uint8)
        file.append((place, 0, 0), chunk)
        if not checked:  # an index entry without the checksum behind the chunk
            file._index[place, 0, 0, 1] -= 4
    file.close()
    return group["codes"]


def score(array):
    """What `influence.scores` does with a store of codes of 4 bits."""
    codec = Codec(2 * WIDTH, bits=4, seed=0)
    query = torch.randn(codec.padded, 1)
    for start in range(0, ROWS, 1 << 10):
        codes = torch.from_numpy(values(array, (slice(start, start + (1 << 10)), 0)))
        codec.products(codes, query)


def table(results):
    """The table of `checks`, in Markdown."""
    print("| rule | jobs | CPU seconds | of them checks | share |")
    print("| --- | --- | --- | --- | --- |")
    rules = checks(results)
    rules["all jobs"] = sum(rules.values())
    for rule, (jobs, took, spent) in rules.items():
        share = f"{100 * spent / took:.1f} %"
        print(f"| `{rule}` | {jobs:.0f} | {took:.1f} | {spent:.3f} | {share} |")
    print(f"\nall records, before a run: {seconds(lambda: settle(results)):.3f} s")


def main():
    """Both parts."""
    torch.set_num_threads(1)
    for results in map(Path, sys.argv[1:]):
        table(results)
    with tempfile.TemporaryDirectory() as folder:
        made = {c: store(Path(folder, f"{c}.zarr"), c) for c in (False, True)}
        found = {checked: [] for checked in made}
        for _ in range(ROUNDS):
            for checked, array in made.items():
                start = time.process_time()
                score(array)
                found[checked].append(time.process_time() - start)
        without, checked = (statistics.median(found[c]) for c in (False, True))
        digest = seconds(lambda: content_of(Path(folder, "True.zarr")))
        print(
            f"scoring {ROWS * WIDTH >> 20} MiB of codes: {without:.3f} s without "
            f"checksums, {checked:.3f} with, ratio {checked / without:.3f}; "
            f"digest of the store {digest:.4f} s"
        )


if __name__ == "__main__":
    main()
