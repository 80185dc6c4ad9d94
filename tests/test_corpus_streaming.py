"""Data sets that `datasets` streams: local files, and the hub's layout over HTTP."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headwater.corpus import streaming
from headwater.corpus.detectors import detected_domain
from headwater.corpus.documents import DocumentReader
from headwater.corpus.domains import NO_LABEL
from headwater.corpus.sources.dataset import SOURCE as DATASET
from headwater.errors import HeadwaterError
from headwater.net.fetching import GrowingFile
from hub_jobs import run_jobs
from hub_server import HubServer, commit, serve
from megatron_writer import random_sequences, write_preshuffled
from test_corpus_support import some_text, token_config, tokenizer_folder

WIDTH, VOCABULARY, STEPS, BATCH, AFTER = 17, 300, 5, 8, 12
NEEDED = STEPS * BATCH + AFTER


def texts(count: int = 90) -> list[dict[str, Any]]:
    """Documents with a label, as many data sets have them."""
    return [
        {"text": f"{i} " + some_text(i, 20), "meta": {"kind": f"k{i % 3}"}}
        for i in range(count)
    ]


def write_jsonl(folder: Path, entries: list[dict[str, Any]], files: int) -> list[Path]:
    """The entries in files of equal size, named as the hub's converters do."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    size = -(-len(entries) // files)
    for index in range(files):
        paths.append(folder / f"train-{index:05d}-of-{files:05d}.jsonl")
        lines = [json.dumps(e) + "\n" for e in entries[index * size :][:size]]
        paths[-1].write_text("".join(lines))
    return paths


def settings_of(paths: list[Path], **changes: Any) -> dict[str, Any]:
    """`corpus.dataset` for local files, with its defaults."""
    settings = {"files": [str(path) for path in paths], "split": "train", **changes}
    return settings if "tokens" in settings else {"text": "text", "jobs": 1, **settings}


def fetch_dataset(target: Path, settings: dict[str, Any], job: int) -> None:
    """The text that is one job's."""
    DATASET.fetch(target, f"x-{job:04d}", settings, None)


def documents(folder: Path) -> list[tuple[str, str]]:
    """Text and domain of what was fetched."""
    reader = DocumentReader(folder / "text.jsonl.zst", "fail")
    return [(document.text, document.domain) for document in reader]


def test_documents_and_their_labels_come_in_order(tmp_path: Path) -> None:
    paths = write_jsonl(tmp_path / "data", texts(), 3)
    fetch_dataset(tmp_path / "out", settings_of(paths, domain="meta.kind"), 0)
    wanted = [(entry["text"], entry["meta"]["kind"]) for entry in texts()]
    assert documents(tmp_path / "out") == wanted
    record = json.loads((tmp_path / "out/fetched.json").read_text())
    assert record["documents"] == 90


def test_documents_without_label_get_a_detected_one(tmp_path: Path) -> None:
    entries = [{"text": r"\alpha \beta \gamma " * 9}, {"text": "the cat sat " * 20}]
    paths = write_jsonl(tmp_path / "data", entries, 1)
    fetch_dataset(tmp_path / "out", settings_of(paths), 0)
    found = [domain for _, domain in documents(tmp_path / "out")]
    assert found == ["latex (detected)", "prose (detected)"]
    assert found == [detected_domain(entry["text"]) for entry in entries]


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    labels = ["None", None, "nan", "", " ", 0, "code"]
    entries = [{"text": "x", "kind": label} for label in map(_text, labels)]
    paths = write_jsonl(tmp_path / "data", entries, 1)
    fetch_dataset(tmp_path / "out", settings_of(paths, domain="kind"), 0)
    found = [domain for _, domain in documents(tmp_path / "out")]
    assert found == ["None", NO_LABEL, "nan", NO_LABEL, NO_LABEL, "0", "code"]


def test_a_missing_number_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,year\nx,1999\ny,\n")
    fetch_dataset(tmp_path / "out", settings_of([tmp_path / "a.csv"], domain="year"), 0)
    labels = [domain for _, domain in documents(tmp_path / "out")]
    assert labels[1] == NO_LABEL
    assert labels[0].startswith("1999")


def _text(label: object) -> str | None:
    return None if label is None else str(label)


def test_jobs_share_the_documents_by_file_always_alike(tmp_path: Path) -> None:
    paths = write_jsonl(tmp_path / "data", texts(), 4)
    settings = settings_of(paths, jobs=2, documents=31)
    for job in (0, 1, 0):
        fetch_dataset(tmp_path / f"out{job}", settings, job)
    first, second = (documents(tmp_path / f"out{job}") for job in (0, 1))
    assert (len(first), len(second)) == (15, 16)
    assert not set(first) & set(second)
    with pytest.raises(HeadwaterError, match=r"5 jobs, but .* has 4 files; lower it"):
        fetch_dataset(tmp_path / "out", settings_of(paths, jobs=5), 0)


def test_a_killed_stream_goes_on_where_it_was_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_jsonl(tmp_path / "data", texts(), 4)
    settings, read = settings_of(paths), []
    line = streaming._line
    monkeypatch.setattr(streaming, "_COMMIT_BYTES", 1500)
    monkeypatch.setattr(
        streaming, "_line", lambda *a: read.append(a[0]["text"]) or line(*a)
    )
    sure, commits = GrowingFile.commit, []

    def stop(self: GrowingFile, state: dict) -> None:
        sure(self, state)
        commits.append(state["documents"])
        if len(commits) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GrowingFile, "commit", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset(tmp_path / "out", settings, 0)
    assert 10 < commits[-1] < 80
    read.clear()
    fetch_dataset(tmp_path / "out", settings, 0)
    assert len(read) == 90 - commits[-1]
    fetch_dataset(tmp_path / "whole", settings, 0)
    found = documents(tmp_path / "out")
    assert [text for text, _ in found] == [entry["text"] for entry in texts()]
    assert (tmp_path / "out/text.jsonl.zst").read_bytes() == (
        tmp_path / "whole/text.jsonl.zst"
    ).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "content"}, 'dataset.text: no column "content"; .* has: meta, text'),
        ({"text": "meta.txt"}, 'no column "meta.txt"; .* has: meta, text'),
        ({"domain": "lang"}, 'dataset.domain: no column "lang"'),
        ({"text": "meta"}, "holds dict, not text"),
        ({"split": "test"}, "cannot read"),
        ({"files": ["a.tar"]}, r"expected a name that ends in \.jsonl"),
    ],
)
def test_columns_that_are_missing_are_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    paths = write_jsonl(tmp_path / "data", texts(4), 1)
    settings = settings_of(paths, **changes)
    if changes.get("split"):
        settings["files"] = [str(tmp_path / "none.jsonl")]
    with pytest.raises(HeadwaterError, match=message):
        fetch_dataset(tmp_path / "out", settings, 0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"ids": [1] * 16}, "entry 2 .* not a list of 17 token ids .* found 16 tokens"),
        ({"ids": ["a"] * 17}, "entry 2 .* found none|cannot read"),
    ],
)
def test_entries_that_are_no_rows_are_refused(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    entries = [{"ids": [1] * 17}, {"ids": [2] * 17}, entry]
    paths = write_jsonl(tmp_path / "data", entries, 1)
    settings = settings_of(paths, tokens="ids")
    stream = streaming.open_stream(settings)
    with pytest.raises(HeadwaterError, match=message):
        list(streaming.token_rows(stream, {}, settings, 17))


# The hub.


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, Path]]:
    """A hub with three data sets, and the outputs of jobs that used it."""
    folder = tmp_path_factory.mktemp("hub")
    root = folder / "root/datasets/someone"
    write_jsonl(root / "texts/data", texts(), 3)
    rows = [{"ids": row} for row in random_sequences(60, WIDTH, VOCABULARY)]
    write_jsonl(root / "ids/data", rows, 2)
    write_preshuffled(root / "preshuffled", 60, WIDTH, VOCABULARY, shards=3)
    with serve(folder / "root") as server:
        server.fail("503")
        run_jobs(folder, server.url, [job(folder, name) for name in JOBS])
        yield server, folder


def config_of(**corpus: Any) -> dict[str, Any]:
    return token_config(WIDTH, STEPS, BATCH, held_out={"rows": AFTER}, **corpus)


def on_hub(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": f"someone/{name}", "revision": "main", "split": "train", **settings}


TEXT = {"text": "text", "domain": "meta.kind", "jobs": 3}
PRESHUFFLED = "hf://datasets/someone/preshuffled"
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "texts-0001": ("fetch_text", {"dataset": on_hub("texts", **TEXT)}),
    "columns-0000": (
        "fetch_text",
        {"dataset": on_hub("texts", text="content", jobs=1)},
    ),
    "none-0000": ("fetch_text", {"dataset": on_hub("nowhere", text="t", jobs=1)}),
    "ids": ("fetch_rows", {"dataset": on_hub("ids", tokens="ids")}),
    "preshuffled": ("fetch_rows", {"pythia": {"path": PRESHUFFLED}}),
    "cached": (
        "fetch_rows",
        {"pythia": {"path": f"{PRESHUFFLED}/document-00000-of-00002.bin"}},
    ),
    "missing": ("fetch_rows", {"pythia": {"path": f"{PRESHUFFLED}/none.bin"}}),
}


def job(folder: Path, name: str) -> dict[str, Any]:
    """One of `JOBS`, for `run_jobs`."""
    script, source = JOBS[name]
    config = config_of(**source)
    return {
        "script": script,
        "config": config,
        "inputs": {"tokenizer": tokenizer_folder(folder / name, config)},
        "outputs": {"folder": folder / name / "out"},
        "log": folder / name / "log",
        "wildcards": {"source": name},
    }


def test_a_data_set_of_the_hub_is_streamed(hub: tuple[HubServer, Path]) -> None:
    server, folder = hub
    out = folder / "texts-0001/out"
    wanted = [(entry["text"], entry["meta"]["kind"]) for entry in texts()]
    assert documents(out) == wanted[30:60]
    record = json.loads((out / "fetched.json").read_text())
    assert record["parts"][0]["revision"] == commit(
        server.root / "datasets/someone/texts"
    )


def test_token_ids_of_the_hub_become_rows(hub: tuple[HubServer, Path]) -> None:
    _, folder = hub
    rows = np.fromfile(folder / "ids/out/tokens.bin", "<u2").reshape(-1, WIDTH)
    assert (rows == np.array(random_sequences(60, WIDTH, VOCABULARY))[:NEEDED]).all()


def test_pre_shuffled_files_of_the_hub_are_fetched_by_range(
    hub: tuple[HubServer, Path],
) -> None:
    server, folder = hub
    rows = np.fromfile(folder / "preshuffled/out/tokens.bin", "<u2").reshape(-1, WIDTH)
    assert (rows == np.array(random_sequences(60, WIDTH, VOCABULARY))[:NEEDED]).all()
    record = json.loads((folder / "preshuffled/out/fetched.json").read_text())
    hash_ = commit(server.root / "datasets/someone/preshuffled")
    assert [part["place"] for part in record["parts"]] == [
        f"hf://datasets/someone/preshuffled@{hash_}/document-{i:05d}-of-00002.bin"
        for i in range(3)
    ]
    asked = [r for r in server.requests if "00002-of-00002.bin" in r[1] and r[2]]
    assert {r[2] for r in asked if r[0] == "GET"} == {"bytes=0-407"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("columns-0000", 'no column "content"; the data set has: meta, text'),
        ("none-0000", "someone/nowhere"),
        ("missing", "none.bin: no such file in the repository"),
    ],
)
def test_what_is_not_there_is_one_line(
    hub: tuple[HubServer, Path], name: str, message: str
) -> None:
    log = (hub[1] / name / "log").read_text()
    (found,) = [text for text in log.splitlines() if "ERROR: " in text]
    assert message in found
    assert "Traceback" not in log
    assert not (hub[1] / name / "out").exists()
    assert "  " not in found.split("ERROR: ")[1]


def test_without_a_network_the_cache_serves_or_the_way_is_told(
    hub: tuple[HubServer, Path], tmp_path: Path
) -> None:
    server, _ = hub
    cached = (
        "from huggingface_hub import hf_hub_download\n"
        "for name in ('00000', '00001', '00002'):\n"
        "    hf_hub_download('someone/preshuffled', "
        "f'document-{name}-of-00002.bin', repo_type='dataset')\n"
    )
    fill_cache(tmp_path, server.url, cached)
    jobs = [job(tmp_path, "cached"), job(tmp_path, "texts-0001")]
    run_jobs(tmp_path, server.url, jobs, HF_HUB_OFFLINE="1")
    rows = tmp_path / "cached/out/tokens.bin"
    assert rows.stat().st_size == NEEDED * WIDTH * 2
    record = json.loads((tmp_path / "cached/out/fetched.json").read_text())
    hash_ = commit(server.root / "datasets/someone/preshuffled")
    assert all(f"preshuffled@{hash_}/" in part["place"] for part in record["parts"])
    log = (tmp_path / "texts-0001/log").read_text()
    assert "HF_HUB_OFFLINE is set" in log
    assert "run `snakemake prepare` with the same config" in log


def fill_cache(folder: Path, endpoint: str, code: str) -> None:
    """Download as a user would on the login node."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
