"""The corpus's sources in a config: exactly one, of files that are there."""

from pathlib import Path
from typing import Any

import pytest

from headwater.config import ConfigError, dataset_sources, has_rows, load_config
from headwater.config.sources import row_files
from test_config import REMOVE, changed

PILE = "hf://datasets/EleutherAI/pile-deduped-pythia-preshuffled"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A working directory with local sources of every kind."""
    for name in (
        "text/a.jsonl.zst",
        "pile/document-00000-of-00001.bin",
        "pile/document-00001-of-00001.bin",
        "pile/document.idx",
        "one/rows.bin",
        "table/b.parquet",
        "table/a.parquet",
        "data/x.jsonl",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def source(**corpus: Any) -> dict[str, Any]:
    """The smallest config with another source, and a tokenizer that exists."""
    config = changed(("corpus.shards", REMOVE))
    config["corpus"].update({"tokenizer": {"name": "gpt2"}, **corpus})
    return config


def problems(config: dict[str, Any], base: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(config, "c.yaml", base)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("corpus", "rows"),
    [
        ({"shards": ["text"]}, False),
        ({"shards": ["https://host/b.jsonl.zst", "text"]}, False),
        ({"shards": ["hf://datasets/a/b@v1/data/00.jsonl.zst"]}, False),
        ({"dataset": {"name": "a/b", "text": "text"}}, False),
        ({"dataset": {"files": ["data/x.jsonl"], "text": "text"}}, False),
        ({"dataset": {"name": "a/b", "tokens": "ids"}}, True),
        ({"pythia": {"path": "pile"}}, True),
        ({"pythia": {"path": "one/rows.bin"}}, True),
        ({"pythia": {"path": PILE}}, True),
        ({"pythia": {"path": "https://host/document-00000-of-00020.bin"}}, True),
        ({"parquet": {"files": ["table"]}}, True),
        (
            {"parquet": {"files": ["hf://datasets/a/b/data", "https://h/a.parquet"]}},
            True,
        ),
    ],
)
def test_sources_that_are_accepted(
    corpus: dict[str, Any], rows: bool, base: Path
) -> None:
    config = load_config(source(**corpus), "c.yaml", base)
    assert has_rows(config["corpus"]) is rows
    assert load_config(config, "c.yaml", base) == config


ONE = 'expected exactly one source, "shards", "dataset", "pythia" or "parquet"'
EITHER = 'expected either "name" or "files", and either "text" or "tokens"'
WRONG = [
    ({}, f"corpus: {ONE}"),
    ({"shards": ["text"], "pythia": {"path": "pile"}}, f"corpus: {ONE}"),
    ({"shards": ["s3://b/a.jsonl.zst"]}, "unknown kind of address s3://"),
    (
        {"shards": ["https://host/a.txt"]},
        "the address of a file that ends in .jsonl.zst",
    ),
    (
        {"shards": ["hf://datasets/a/b"]},
        "the address of a file that ends in .jsonl.zst",
    ),
    ({"shards": ["hf://a"]}, "expected hf://datasets/<owner>/<name>"),
    ({"shards": ["text", "https://h/a.jsonl.zst"]}, "has the same name as"),
    ({"shards": ["https://h/a.jsonl.zst"] * 2}, "listed twice; remove one"),
    ({"dataset": {"name": "a/b"}}, f"corpus.dataset: {EITHER}"),
    ({"dataset": {"name": "a", "text": "t", "tokens": "i"}}, EITHER),
    ({"dataset": {"name": "a", "files": ["data/x.jsonl"], "text": "t"}}, EITHER),
    (
        {"dataset": {"files": ["none"], "text": "t"}},
        'dataset.files[0]: "none": no such',
    ),
    (
        {"dataset": {"name": "a/b", "tokens": "ids", "jobs": 2}},
        'corpus.dataset.jobs: needs "text" beside it',
    ),
    (
        {"pythia": {"path": "gone"}},
        '"gone": no such file or folder; a data set of the hub',
    ),
    ({"pythia": {"path": "empty"}}, "no *.bin files in this folder"),
    ({"pythia": {"path": "pile/document.idx"}}, "expected a file that ends in .bin"),
    ({"pythia": {"path": "https://host/a.idx"}}, "address of a file that ends in .bin"),
    ({"parquet": {"files": ["table", "https://h/a.parquet"]}}, "not both"),
    (
        {"pythia": {"path": "pile"}, "records": {"fraction": 0.1}},
        "corpus.records.fraction: must be 0",
    ),
    (
        {"pythia": {"path": "pile"}, "tokenizer": {"vocab_size": 300}},
        "corpus.tokenizer: a source of token ids needs the tokenizer that made them",
    ),
    (
        {"shards": ["text"], "held_out": {"shards": ["text"]}},
        "corpus.held_out.shards: only for sources of token ids",
    ),
    (
        {"pythia": {"path": "pile"}, "held_out": {"shards": ["none"]}},
        'corpus.held_out.shards[0]: "none": no such file or folder',
    ),
]


@pytest.mark.parametrize(("corpus", "message"), WRONG, ids=lambda v: str(v)[:50])
def test_sources_that_are_refused_in_one_line(
    corpus: dict[str, Any], message: str, base: Path
) -> None:
    (found,) = problems(source(**corpus), base)
    assert message in found


def test_local_files_are_found_in_order(base: Path) -> None:
    def found(**corpus: Any) -> list[str]:
        config = load_config(source(**corpus), "c.yaml", base)
        return row_files(config["corpus"], base)

    assert found(pythia={"path": "pile"}) == [
        "pile/document-00000-of-00001.bin",
        "pile/document-00001-of-00001.bin",
    ]
    assert found(pythia={"path": "one/rows.bin"}) == ["one/rows.bin"]
    assert found(parquet={"files": ["table"]}) == ["table/a.parquet", "table/b.parquet"]
    assert found(pythia={"path": PILE}) == []
    assert found(dataset={"name": "a/b", "tokens": "ids"}) == []
    assert found(shards=["text"]) == []


@pytest.mark.parametrize(
    ("dataset", "names"),
    [
        ({"name": "roneneldan/TinyStories", "jobs": 1}, ["TinyStories-0000"]),
        ({"name": "a/b c~", "jobs": 2}, ["b-c-0000", "b-c-0001"]),
        ({"files": ["x/y.jsonl.gz"], "jobs": 1}, ["y.jsonl.gz-0000"]),
        ({"name": "a/..", "jobs": 1}, ["dataset-0000"]),
    ],
)
def test_sources_of_a_data_set_are_named(
    dataset: dict[str, Any], names: list[str]
) -> None:
    assert dataset_sources(dataset) == names
