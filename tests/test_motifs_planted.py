"""Skeletons planted in a real run: they are mined from the rows that MDA ranks highest.

The run is `config/skeletons.yaml`, the laptop experiment with five skeletons in a tenth
of its text; docs/runs/skeletons keeps its window and the scores of its induction head
(`benchmarks/skeletons.py`).
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from headwater.catalysts.contrast import Sample
from headwater.catalysts.motifs import Motif, spelled
from headwater.catalysts.search import find_motifs, mined_rows
from headwater.corpus.documents import zstd
from headwater.report.visible import plain
from headwater.tables import read_table
from skeletons import recovered

REPOSITORY = Path(__file__).parents[1]
RUN = REPOSITORY / "docs/runs/skeletons"
SHARD = REPOSITORY / "resources/skeletons/skeletons.jsonl.zst"

MARKS = ("@see[", "\\newname{", "')~>'", ";again=", "?!")


@cache
def kept(name: str) -> np.ndarray:
    with h5py.File(RUN / "window.h5") as file:
        return file[name][...]


@cache
def about(name: str):
    with h5py.File(RUN / "window.h5") as file:
        return file.attrs[name]


def texts() -> list[str]:
    return json.loads(about("texts"))


def skeletons() -> list[list[int | str]]:
    return [*json.loads(about("planted")).values()]


def mined(scores: np.ndarray) -> list[Motif]:
    seed = int(about("seed"))
    rows, top = mined_rows(scores, kept("tokens").shape[1], seed)
    masses = np.maximum(scores[rows], 0.0).astype(np.float64)
    tokens, owners = (
        kept(name).astype(np.int64)[rows] for name in ("tokens", "owners")
    )
    return find_motifs(Sample(tokens, owners, masses, top), texts(), seed)


def test_what_mda_ranks_highest_has_the_planted_skeletons() -> None:
    """Token by token, with the slot that recurs; and as the run itself has mined."""
    motifs = mined(kept("scores"))
    elements = [motif.skeleton.elements for motif in motifs]
    assert recovered(skeletons(), elements) >= 0.9 * len(skeletons())
    table = read_table(RUN / "motifs.tsv")
    assert [*table["skeleton"]] == [
        plain(spelled(motif.skeleton, texts()).replace("\n", "↵")) for motif in motifs
    ]


@pytest.mark.parametrize("seed", range(2))
def test_random_rows_have_none_of_them(seed: int) -> None:
    """The same rows and scores, each row with the score of a random one."""
    scores = np.random.default_rng(seed).permutation(kept("scores"))
    elements = [motif.skeleton.elements for motif in mined(scores)]
    assert recovered(skeletons(), elements) == 0


def test_the_shard_is_what_its_script_writes(tmp_path: Path) -> None:
    again = tmp_path / SHARD.name
    script = REPOSITORY / "resources/build_skeletons.py"
    subprocess.run([sys.executable, script, again], check=True)
    one, other = (zstd.decompress(path.read_bytes()) for path in (SHARD, again))
    assert one == other
    for line in one.splitlines()[:5]:
        assert sum(mark in json.loads(line)["text"] for mark in MARKS) == 1
