"""Rows of token ids to stores: the same rows, their documents, their domains."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tokenizers import Tokenizer

from headwater.corpus import fetched as fetching
from headwater.corpus.batches import BatchFiles
from headwater.corpus.detectors import DOMAINS
from headwater.corpus.holdout import token_counts
from headwater.corpus.needs import RowNeeds
from headwater.corpus.rows import Rows
from headwater.corpus.sources import needs_of, source_of
from headwater.errors import HeadwaterError
from headwater.heads.sequences import CHOOSING, draw_sequences
from headwater.net import failures
from headwater.net.fetching import GrowingFile
from hub_server import HubServer, serve
from megatron_writer import random_sequences, write_dataset, write_preshuffled
from test_corpus_support import (
    folder_bytes,
    run_script,
    some_documents,
    token_config,
    tokenizer_folder,
    write_shard,
)

WIDTH, VOCABULARY = 17, 300
STEPS, BATCH, AFTER = 5, 8, 12
NEEDED = STEPS * BATCH + AFTER


def rows_of(count: int = 60) -> np.ndarray:
    return np.array(random_sequences(count, WIDTH, VOCABULARY))


def config_of(**corpus: Any) -> dict[str, Any]:
    """A config whose source is the one given."""
    return token_config(WIDTH, STEPS, BATCH, held_out={"rows": AFTER}, **corpus)


def build(
    folder: Path, config: dict[str, Any], source: list[Path], packed: list[Path] = ()
) -> tuple[Rows, Rows, dict[str, Any]]:
    """All stores of a row source by the rules' scripts: training, held out, summary."""
    tokenizer, log = tokenizer_folder(folder, config), folder / "log"
    shards = []
    for index in range(config["corpus"]["row_shards"]):
        shards.append(folder / f"{index:04d}.zarr")
        inputs = {"source": source, "tokenizer": tokenizer}
        outputs = {"store": shards[-1]}
        run_script("order_rows", config, inputs, outputs, log, shard=f"{index:04d}")
    inputs = {
        "source": source,
        "rows": shards,
        "packed": packed,
        "tokenizer": tokenizer,
    }
    outputs = {"held_out": folder / "held_out.zarr", "summary": folder / "summary.json"}
    run_script("hold_out", config, inputs, outputs, log)
    held_out = Rows([folder / "held_out.zarr"], config)
    summary = json.loads((folder / "summary.json").read_text())
    return Rows(shards, config), held_out, summary


def refusal(folder: Path, script: str, *arguments: Any, **wildcards: str) -> str:
    """Run a script that must stop with one line; returns that line."""
    with pytest.raises(SystemExit):
        run_script(script, *arguments, folder / "log", **wildcards)
    log = (folder / "log").read_text()
    assert "Traceback" not in log
    (message,) = [text for text in log.splitlines() if "ERROR: " in text]
    return message


def test_pythia_rows_are_the_file_s_rows(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY) / "document.bin"
    config = config_of(pythia={"path": str(data)})
    rows, held_out, summary = build(tmp_path, config, [data])
    wanted = rows_of()
    assert len(rows) == STEPS * BATCH
    for step in range(STEPS):
        mine = rows.tokens(step * BATCH, (step + 1) * BATCH)
        assert (mine == wanted[step * BATCH : (step + 1) * BATCH]).all()
    kept = {tuple(row) for row in held_out.tokens(0, len(held_out)).tolist()}
    after = {tuple(row) for row in wanted[40:52].tolist()}
    assert kept <= after
    assert len(kept) >= 5
    assert summary["training_rows"] == 40
    assert sum(d["training"]["rows"] for d in summary["domains"].values()) == 40
    assert all(d["detected"] for d in summary["domains"].values())


def test_shards_of_rows_are_one_order(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY, shards=3)
    source = sorted(data.glob("*.bin"))
    config = config_of(pythia={"path": str(data)}, row_shards=3)
    rows, *_ = build(tmp_path, config, source)
    assert (rows.tokens(0, 40) == rows_of()[:40]).all()


def test_documents_of_a_row_are_told_apart(tmp_path: Path) -> None:
    sequences = random_sequences(60, WIDTH, VOCABULARY)
    sequences[3] = [5, 6, 0, 7, 0, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0]
    data = write_dataset(tmp_path / "pile", sequences)
    rows, *_ = build(tmp_path, config_of(pythia={"path": str(data)}), [data])
    spans = rows.spans(3)
    assert [span.token for span in spans] == [0, 3, 5, 6]
    assert [span.line for span in spans] == [3, 3, 3, 3]  # the row's number
    assert {span.source for span in spans} == {"document.bin"}
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer/tokenizer.json"))
    texts = [
        tokenizer.decode(part, skip_special_tokens=False)
        for part in (sequences[3][:3], [7, 0], [0], sequences[3][6:])
    ]
    assert [span.stop - span.start for span in spans] == [len(text) for text in texts]
    assert spans[0].start == 0
    assert all(a.stop == b.start for a, b in pairwise(spans))
    assert spans[0].place == "document.bin, row 3, characters 0 to " + str(
        len(texts[0])
    )


def test_domains_are_detected_and_say_so(tmp_path: Path) -> None:
    config = config_of(pythia={"path": "x"})
    tokenizer = Tokenizer.from_file(
        str(tokenizer_folder(tmp_path, config) / "tokenizer.json")
    )
    texts = {
        "latex": r"\frac{a}{b} \begin{equation} \alpha \beta \gamma" * 3,
        "markup": "<p>one</p><p>two</p><br/><li>x</li>" * 3,
        "prose": "the cat sat on the mat and it was late " * 3,
    }
    ids = {kind: tokenizer.encode(text).ids[:WIDTH] for kind, text in texts.items()}
    sequences = [ids[kind] for kind in ("latex", "markup", "prose")] * 20
    data = write_dataset(tmp_path / "pile", sequences)
    rows, *_ = build(tmp_path, config, [data])
    assert rows.domain_names == DOMAINS
    assert all(name.endswith(" (detected)") for name in rows.domain_names)
    names = [rows.domain_names[i] for i in rows.domains(0, 3)]
    assert names == ["latex (detected)", "markup (detected)", "prose (detected)"]


def test_token_counts_are_those_of_the_training_rows(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, 200) / "document.bin"
    config = config_of(pythia={"path": str(data)})
    build(tmp_path, config, [data])
    counts = token_counts(tmp_path / "held_out.zarr", config)
    training = np.array(random_sequences(60, WIDTH, 200))[:40]
    assert (counts == np.bincount(training.reshape(-1), minlength=VOCABULARY)).all()
    config["heads"] = {"length": 8, "min_period": 4, "max_period": 4}
    stores = tmp_path / "held_out.zarr", tmp_path / "tokenizer"
    drawn = draw_sequences(CHOOSING, 600, *stores, config).tokens
    assert set(drawn.flatten().tolist()) == set(training.reshape(-1)) - {
        0
    }  # never padding, never the end


def test_text_can_be_held_out_instead(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY) / "document.bin"
    text = write_shard(tmp_path / "held.jsonl.zst", some_documents(40))
    config = config_of(pythia={"path": str(data)})
    config["corpus"]["held_out"] = {
        "fraction": 0.06,
        "shards": [str(text)],
        "rows_per_domain": 5,
    }
    packed = tmp_path / "packed.zarr"
    inputs = {"text": text, "tokenizer": tokenizer_folder(tmp_path, config)}
    log = tmp_path / "log"
    run_script("tokenize_source", config, inputs, {"store": packed}, log, source="held")
    rows, held_out, _ = build(tmp_path, config, [data], [packed])
    assert len(held_out) == 15
    assert held_out.domain_names == ["code", "prose", "xml"]
    assert held_out.spans(0)[0].place.startswith("held.jsonl.zst, line ")
    assert needs_of(config).all == range(40)
    assert len(rows) == 40


def test_ids_beyond_the_tokenizer_are_refused(tmp_path: Path) -> None:
    sequences = random_sequences(60, WIDTH, VOCABULARY)
    sequences[13][4] = 300
    data = write_dataset(tmp_path / "pile", sequences)
    config = config_of(pythia={"path": str(data)})
    inputs = {"source": [data], "tokenizer": tokenizer_folder(tmp_path, config)}
    outputs = {"store": tmp_path / "0000.zarr"}
    message = refusal(tmp_path, "order_rows", config, inputs, outputs, shard="0000")
    assert "row 13 holds token id 300 at position 4" in message
    assert "ids 0 to 299" in message
    assert not (tmp_path / "0000.zarr").exists()


def test_rows_of_another_tokenizer_are_noticed(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "pile", [[5] * WIDTH] * 60)
    config = config_of(pythia={"path": str(data)})
    build(tmp_path, config, [data])
    assert (
        "token id 0, which ends a document by corpus.tokenizer"
        in (tmp_path / "log").read_text()
    )


# Parquet: the same rows with the number of their batch.


def write_parquet(path: Path, rows: np.ndarray, first: int, **options: Any) -> Path:
    """Rows as pietrolesci/pile-deduped-pythia-preshuffled has them."""
    numbers = np.arange(first, first + len(rows))
    shuffled = np.random.default_rng(first).permutation(len(rows))
    order = shuffled[np.argsort(numbers[shuffled] // BATCH, kind="stable")]
    table = pa.table(
        {
            "uid": numbers[order],
            "batch_idx": numbers[order] // BATCH,
            "token_ids": list(rows[order]),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path, **{"row_group_size": 12, **options})
    return path


def parquet_files(folder: Path) -> list[Path]:
    """Sixty rows in two files that meet inside a batch."""
    rows = rows_of()
    write_parquet(folder / "train-000003.parquet", rows[:28], 0)
    write_parquet(folder / "train-000007.parquet", rows[28:], 28)
    return sorted(folder.iterdir())


def test_batches_come_in_their_own_order(tmp_path: Path) -> None:
    files = parquet_files(tmp_path / "pile")
    config = config_of(parquet=PARQUET)
    rows, held_out, _ = build(tmp_path, config, files)
    assert (rows.tokens(0, 40) == rows_of()[:40]).all()
    kept = {tuple(row) for row in held_out.tokens(0, len(held_out)).tolist()}
    assert kept <= {tuple(row) for row in rows_of()[40:52].tolist()}


PARQUET = {"files": ["x"], "tokens": "token_ids", "batch": "batch_idx"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f[:1],
            r"/pile/\S+\.parquet \(corpus\.parquet\.files\): rows 0 to 51 are "
            "needed .* only 32",
        ),
        (lambda f: f[1:], "batch 0 has 0 rows, but training.batch_size is 8"),
    ],
)
def test_parquet_files_that_do_not_fit_are_refused(
    tmp_path: Path, change: Any, message: str
) -> None:
    files = change(parquet_files(tmp_path / "pile"))
    config = config_of(parquet=PARQUET)
    inputs = {"source": files, "tokenizer": tokenizer_folder(tmp_path, config)}
    outputs = {"store": tmp_path / "0000.zarr"}
    found = refusal(tmp_path, "order_rows", config, inputs, outputs, shard="0000")
    assert re.search(message, found)


def test_batches_out_of_order_are_refused(tmp_path: Path) -> None:
    files = [(str(path), str(path)) for path in parquet_files(tmp_path)[::-1]]
    with pytest.raises(HeadwaterError, match="batch 0 comes after batch 7"):
        BatchFiles(files, RowNeeds(WIDTH, 64, 0, BATCH), PARQUET)


def test_missing_columns_are_named_with_those_there_are(tmp_path: Path) -> None:
    files = parquet_files(tmp_path / "pile")
    config = config_of(parquet={**PARQUET, "tokens": "input_ids"})
    inputs = {"source": files, "tokenizer": tokenizer_folder(tmp_path, config)}
    outputs = {"store": tmp_path / "0000.zarr"}
    found = refusal(tmp_path, "order_rows", config, inputs, outputs, shard="0000")
    assert 'no column "input_ids" (corpus.parquet.tokens)' in found
    assert found.endswith("it has: uid, batch_idx, token_ids")


def test_parquet_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "pile/a.parquet", rows_of()[:, :-1], 0)
    config = config_of(parquet=PARQUET)
    inputs = {
        "source": [tmp_path / "pile/a.parquet"],
        "tokenizer": tokenizer_folder(tmp_path, config),
    }
    outputs = {"store": tmp_path / "0000.zarr"}
    found = refusal(tmp_path, "order_rows", config, inputs, outputs, shard="0000")
    assert "a row has 16 tokens, but rows have 17" in found


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["a"] * 60), "holds string, not lists of integers"),
        (pa.array([[0.5] * WIDTH] * 60), "not lists of integers"),
        (pa.array([None] + [[1] * WIDTH] * 59), 'a null in its column "token_ids"'),
        (pa.array([[]] + [[1] * WIDTH] * 59), "a row has 0 tokens"),
        (pa.array([[None] * WIDTH] * 60, pa.list_(pa.int64())), "a null among the"),
        (pa.array([[1] * WIDTH] * 60, pa.list_(pa.uint16(), WIDTH)), None),
        (pa.array([[1] * WIDTH] * 60, pa.large_list(pa.int32())), None),
    ],
)
def test_columns_of_token_ids(
    tmp_path: Path, column: pa.Array, message: str | None
) -> None:
    table = pa.table({"batch_idx": np.arange(60) // BATCH, "token_ids": column})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    source = BatchFiles([(path, path)], RowNeeds(WIDTH, 40, 0, BATCH), PARQUET)
    if message is None:
        assert (
            np.concatenate(list(source.blocks(4, 21, 5))).tolist() == [[1] * WIDTH] * 17
        )
        return
    with pytest.raises(HeadwaterError, match=message):
        list(source.blocks(0, 40, 8))


def test_rows_of_a_batch_without_uid_stay_in_the_file_s_order(tmp_path: Path) -> None:
    rows = rows_of()
    table = pa.table(
        {"batch_idx": np.arange(len(rows)) // BATCH, "token_ids": rows.tolist()}
    )
    path = str(tmp_path / "a.parquet")
    # Row groups of 5 cut the batches of 8.
    pyarrow.parquet.write_table(table, path, row_group_size=5)
    source = BatchFiles([(path, path)], RowNeeds(WIDTH, 40, 0, BATCH), PARQUET)
    assert (np.concatenate(list(source.blocks(0, 40, 7))) == rows[:40]).all()


# Fetched from a server.


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(failures, "_FIRST_WAIT", 0.01)
    (tmp_path / "root").mkdir()
    with serve(tmp_path / "root") as running:
        yield running


def fetched(folder: Path, config: dict[str, Any]) -> Path:
    """The folder that `fetch_rows` makes."""
    inputs = {"tokenizer": tokenizer_folder(folder, config)}
    target = folder / "rows"
    run_script("fetch_rows", config, inputs, {"rows": target}, folder / "log")
    return target


@pytest.mark.parametrize("shards", [0, 3])
def test_only_the_bytes_of_the_steps_are_fetched(
    server: HubServer, tmp_path: Path, shards: int
) -> None:
    write_preshuffled(server.root / "pile", 600, WIDTH, VOCABULARY, shards)
    name = f"document-00000-of-{shards - 1:05d}.bin" if shards else "document.bin"
    config = config_of(pythia={"path": f"{server.url}/files/pile/{name}"})
    server.fail("", "", "drop", "503", "truncate")
    target = fetched(tmp_path, config)
    need = NEEDED * WIDTH * 2
    assert (target / "tokens.bin").stat().st_size == need
    # The rows' entries of the index, 12 bytes each, and first bytes, are all besides.
    assert server.sent < 2 * need + NEEDED * 24 + 100
    record = json.loads((target / "fetched.json").read_text())
    assert record["source"] == "document.bin"
    assert (record["rows"], record["width"]) == (NEEDED, WIDTH)
    assert [part["bytes"] for part in record["parts"]] == [need]
    rows, *_ = build(tmp_path, config, [target])
    assert (rows.tokens(0, 40) == np.array(rows_of(600))[:40]).all()
    assert rows.spans(0)[0].source == "document.bin"


def test_rows_fetched_for_a_shorter_run_are_refused(
    server: HubServer, tmp_path: Path
) -> None:
    write_preshuffled(server.root / "pile", 60, WIDTH, VOCABULARY)
    config = config_of(pythia={"path": f"{server.url}/files/pile/document.bin"})
    target = fetched(tmp_path, config)
    config["training"]["steps"] += 1
    with pytest.raises(HeadwaterError, match=r"holds 52 rows .* now needs 60 of 17"):
        source_of(config["corpus"]).open([target], config["corpus"], needs_of(config))


def test_rows_may_lie_across_fetched_shards(server: HubServer, tmp_path: Path) -> None:
    write_preshuffled(server.root / "pile", 60, WIDTH, VOCABULARY, shards=7)
    path = f"{server.url}/files/pile/document-00000-of-00006.bin"
    target = fetched(tmp_path, config_of(pythia={"path": path}))
    tokens = np.fromfile(target / "tokens.bin", "<u2").reshape(-1, WIDTH)
    assert (tokens == rows_of()[:NEEDED]).all()
    assert len(json.loads((target / "fetched.json").read_text())["parts"]) == 7


def test_index_is_checked_before_rows_are_fetched(
    server: HubServer, tmp_path: Path
) -> None:
    write_preshuffled(server.root / "pile", 60, WIDTH + 2, VOCABULARY)
    config = config_of(pythia={"path": f"{server.url}/files/pile/document.bin"})
    inputs = {"tokenizer": tokenizer_folder(tmp_path, config)}
    outputs = {"rows": tmp_path / "rows"}
    found = refusal(tmp_path, "fetch_rows", config, inputs, outputs)
    assert re.search("no whole number of rows|row 0 has 19 tokens", found)


def test_remote_rows_past_the_end_are_refused(
    server: HubServer, tmp_path: Path
) -> None:
    write_preshuffled(server.root / "pile", 51, WIDTH, VOCABULARY)
    config = config_of(pythia={"path": f"{server.url}/files/pile/document.bin"})
    inputs = {"tokenizer": tokenizer_folder(tmp_path, config)}
    outputs = {"rows": tmp_path / "rows"}
    found = refusal(tmp_path, "fetch_rows", config, inputs, outputs)
    assert "rows 0 to 51 are needed" in found
    assert "only 51" in found


def test_missing_index_is_a_warning(server: HubServer, tmp_path: Path) -> None:
    write_preshuffled(server.root / "pile", 60, WIDTH, VOCABULARY)
    (server.root / "pile/document.idx").unlink()
    path = f"{server.url}/files/pile/document.bin"
    target = fetched(tmp_path, config_of(pythia={"path": path}))
    assert (target / "tokens.bin").stat().st_size == NEEDED * WIDTH * 2
    log = (tmp_path / "log").read_text()
    assert log.count(f"{path}: no .idx file beside it; that its rows have 17") == 1


def test_missing_index_of_a_local_file_is_a_warning(tmp_path: Path) -> None:
    data = write_preshuffled(tmp_path / "pile", 60, WIDTH, VOCABULARY) / "document.bin"
    config = config_of(pythia={"path": str(data)})
    text = f"{data}: no .idx file beside it; that its rows have 17 tokens"
    build(tmp_path, config, [data])
    assert text not in (tmp_path / "log").read_text()
    (tmp_path / "pile/document.idx").unlink()
    rows, _, _ = build(tmp_path / "again", config, [data])
    assert (tmp_path / "again/log").read_text().count(text) == 1
    assert len(rows) == STEPS * BATCH


def test_parquet_is_fetched_by_row_groups_and_resumed(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).integers(0, VOCABULARY, (40_000, WIDTH))
    write_parquet(server.root / "a.parquet", rows, 0, row_group_size=400)
    size = (server.root / "a.parquet").stat().st_size
    config = config_of(parquet={**PARQUET, "files": [f"{server.url}/files/a.parquet"]})
    monkeypatch.setattr(fetching, "SYNC_BYTES", 1)
    commit, states = GrowingFile.commit, []

    def stop(self: GrowingFile, state: dict) -> None:
        commit(self, state)
        states.append(state)
        if len(states) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GrowingFile, "commit", stop)
        with pytest.raises(SystemExit):
            fetched(tmp_path, config)
    assert states[-1] == {"rows": 3 * BATCH}
    target = fetched(tmp_path, config)
    tokens = np.fromfile(target / "tokens.bin", "<u2").reshape(-1, WIDTH)
    assert (tokens == rows[:NEEDED]).all()
    assert server.sent < size / 4
    (part,) = json.loads((target / "fetched.json").read_text())["parts"]
    assert part["length"] == size


def test_row_stores_are_the_same_wherever_rows_come_from(
    server: HubServer, tmp_path: Path
) -> None:
    data = write_preshuffled(server.root / "pile", 60, WIDTH, VOCABULARY)
    parquet_files(server.root / "parquet")
    local = config_of(pythia={"path": str(data)})
    web = config_of(pythia={"path": f"{server.url}/files/pile/document.bin"})
    a, *_ = build(tmp_path / "a", local, [data / "document.bin"])
    b, *_ = build(tmp_path / "b", web, [fetched(tmp_path / "b", web)])
    c, *_ = build(
        tmp_path / "c", config_of(parquet=PARQUET), parquet_files(tmp_path / "p")
    )
    assert (a.tokens(0, 40) == b.tokens(0, 40)).all()
    assert (a.tokens(0, 40) == c.tokens(0, 40)).all()
    assert (a.domains(0, 40) == c.domains(0, 40)).all()
    build(tmp_path / "again", local, [data / "document.bin"])
    for name in ("0000.zarr", "held_out.zarr"):
        again = folder_bytes(tmp_path / "again" / name)
        assert folder_bytes(tmp_path / "a" / name) == again
