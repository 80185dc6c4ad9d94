"""How fast fresh rows are compared with a corpus: rows a CPU minute, on one thread.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/copies.py

The longest span that any of so many rows shares with training rows is asked for, as
`scripts/generate.py` does: those that share half a row are left out first. Tokens are
drawn as rare as words are (Zipf), and a third of the rows has a copied span, so that
neither set shrinks at once. CPU seconds are the process's own.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headwater.catalysts.copies import longest_shared, sharing

VOCABULARY, COPIED = 512, 60  # tokens
PART = 16_384  # training rows at a time


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--training", type=int, default=44_000)
    parser.add_argument("--width", type=int, default=257)
    given = parser.parse_args()
    stream = np.random.default_rng(0)
    chances = 1 / np.arange(1, VOCABULARY + 1)
    corpus, rows = (
        stream.choice(
            VOCABULARY, size=(many, given.width), p=chances / chances.sum()
        ).astype(np.uint16)
        for many in (given.training, given.rows)
    )
    for row in range(0, given.rows, 3):
        rows[row, :COPIED] = corpus[row % given.training, 50 : 50 + COPIED]

    def training() -> Iterator[np.ndarray]:
        for first in range(0, given.training, PART):
            yield corpus[first : first + PART].astype(np.int64)

    half = given.width // 2
    begin = time.process_time()
    left = int((~sharing(rows, training, half + 1)).sum())
    first = time.process_time() - begin
    longest = longest_shared(rows, training, half + 1)
    both = time.process_time() - begin
    for what, seconds in (("half a row", first), ("the longest span", both)):
        print(
            f"{what}: {seconds:.1f} CPU seconds, {60 * given.rows / seconds:,.0f} rows "
            "a CPU minute"
        )
    print(f"{left:,} of {given.rows:,} rows are left; longest span: {longest} tokens")


if __name__ == "__main__":
    main()
