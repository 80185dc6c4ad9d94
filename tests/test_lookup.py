"""Which rows training saw at a step: from stores, from files, and from a server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from headwater.corpus.encoding import Encoder
from headwater.corpus.lookup import seen_rows
from headwater.errors import HeadwaterError
from headwater.net import failures
from hub_server import HubServer, serve
from megatron_writer import write_preshuffled
from test_corpus_support import tokenizer_folder
from test_corpus_tokenrows import (
    BATCH,
    VOCABULARY,
    WIDTH,
    build,
    config_of,
    fetched,
    rows_of,
    write_parquet,
)

SCRIPT = Path(__file__).parents[1] / "scripts/rows.py"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(failures, "_FIRST_WAIT", 0.01)
    (tmp_path / "root").mkdir()
    with serve(tmp_path / "root") as running:
        yield running


def seen(folder: Path, config: dict[str, Any], steps: range = range(2, 4)) -> list:
    """The rows of two steps, by a folder that may hold row stores."""
    encoder = Encoder.open(tokenizer_folder(folder, config), config)
    return [*seen_rows(steps, folder, encoder, config)]


def assert_right(found: list, count: int = 60) -> None:
    assert [row.row for row in found] == [*range(2 * BATCH, 4 * BATCH)]
    assert [row.step for row in found] == [2] * BATCH + [3] * BATCH
    wanted = rows_of(count)[2 * BATCH : 4 * BATCH]
    assert (np.stack([row.tokens for row in found]) == wanted).all()
    assert all(row.spans[0].token == 0 for row in found)


def test_stores_and_their_source_tell_the_same(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY) / "document.bin"
    config = config_of(pythia={"path": str(data)})
    of_file = seen(tmp_path, config)
    assert_right(of_file)
    build(tmp_path, config, [data])
    data.unlink()
    stored = seen(tmp_path, config)
    assert_right(stored)
    for one, other in zip(of_file, stored, strict=True):
        assert (one.domain, one.spans) == (other.domain, other.spans)


@pytest.mark.parametrize("shards", [0, 3, 50])
def test_of_a_published_order_only_the_steps_are_fetched(
    server: HubServer, tmp_path: Path, shards: int
) -> None:
    write_preshuffled(server.root / "pile", 600, WIDTH, VOCABULARY, shards)
    name = f"document-00000-of-{shards - 1:05d}.bin" if shards else "document.bin"
    config = config_of(pythia={"path": f"{server.url}/files/pile/{name}"})
    assert_right(seen(tmp_path, config), 600)
    # The rows and their entries of the index, and no more than a byte of each file.
    assert server.sent < 2 * BATCH * (WIDTH * 2 + 12) + shards + 200


def test_rows_that_were_fetched_are_read_again(
    server: HubServer, tmp_path: Path
) -> None:
    write_preshuffled(server.root / "pile", 60, WIDTH, VOCABULARY)
    config = config_of(pythia={"path": f"{server.url}/files/pile/document.bin"})
    target = fetched(tmp_path, config)
    (tmp_path / "source").mkdir()
    target.rename(tmp_path / "source" / "rows")
    before = server.sent
    assert_right(seen(tmp_path, config))
    assert server.sent == before


def test_steps_after_the_end_are_refused(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY) / "document.bin"
    config = config_of(pythia={"path": str(data)})
    with pytest.raises(HeadwaterError, match=r"steps 4 to 5 are wanted, .* step 5"):
        seen(tmp_path, config, range(4, 6))


def test_a_source_that_cannot_says_what_to_do(tmp_path: Path) -> None:
    files = ["https://example.org/a.parquet"]
    columns = {"tokens": "token_ids", "batch": "batch_idx"}
    config = config_of(parquet={"files": files, **columns})
    with pytest.raises(HeadwaterError, match="run `snakemake prepare` first"):
        seen(tmp_path, config)


def test_local_parquet_files_are_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-000001.parquet", rows_of(), 0)
    columns = {"tokens": "token_ids", "batch": "batch_idx"}
    files = [str(tmp_path / "train-000001.parquet")]
    found = seen(tmp_path, config_of(parquet={"files": files, **columns}))
    assert [row.row for row in found] == [*range(2 * BATCH, 4 * BATCH)]


@pytest.mark.parametrize("steps", ["9:2", "x", "3:3", "-1", "1:2:3"])
def test_what_names_no_steps_is_told_in_one_line(steps: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), f"--steps={steps}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "names no steps" in done.stderr
    assert "Traceback" not in done.stderr


def test_text_that_was_not_packed_is_told_in_one_line(tmp_path: Path) -> None:
    config = yaml.safe_load((SCRIPT.parents[1] / "config/smoke.yaml").read_text())
    config["experiment"] = "nothing-here"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--steps", "1", "--configfile", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[1],
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: results/nothing-here/corpus")
    assert done.stderr.count("\n") == 1
