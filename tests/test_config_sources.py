"""The corpus's sources in a config: exactly one, of files that are there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.checkpoints.revisions import CONFIG, PICKLED, SAFE
from headwater.config import ConfigError, load_config
from headwater.config.schema import load_schema
from headwater.corpus.sources import SOURCES, gives_rows, rows, texts
from test_config import REMOVE, changed

NEEDED = 65 * 2 * (1000 * 8 + 1024)  # bytes of the smallest config's rows
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
    # The cut is inside a row.
    sizes = {"0-of-00001": NEEDED // 2 + 7, "1-of-00001": NEEDED // 2 - 7}
    for number, size in sizes.items():
        os.truncate(tmp_path / f"pile/document-0000{number}.bin", size)
    os.truncate(tmp_path / "one/rows.bin", NEEDED)
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
    assert gives_rows(config["corpus"]) is rows
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
    def found(**corpus: Any) -> list[str] | None:
        config = load_config(source(**corpus), "c.yaml", base)
        piece = rows(config["corpus"], base)
        return None if piece is None or piece.origin else list(piece.paths)

    assert found(pythia={"path": "pile"}) == [
        "pile/document-00000-of-00001.bin",
        "pile/document-00001-of-00001.bin",
    ]
    assert found(pythia={"path": "one/rows.bin"}) == ["one/rows.bin"]
    assert found(parquet={"files": ["table"]}) == ["table/a.parquet", "table/b.parquet"]
    assert found(pythia={"path": PILE}) is None
    assert found(dataset={"name": "a/b", "tokens": "ids"}) is None
    assert found(shards=["text"]) is None


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
    pieces = texts({"dataset": {**dataset, "text": "text"}}, Path())
    assert list(pieces) == names
    assert all(piece.origin for piece in pieces.values())
    files = tuple(dataset.get("files", ()))
    assert all(piece.paths == files for piece in pieces.values())


# The list of sources


def test_the_schema_has_a_branch_for_each_source() -> None:
    branches = load_schema()["properties"]["corpus"]["oneOf"]
    keys = [source.key for source in SOURCES]
    assert sorted(keys) == sorted(key for one in branches for key in one["required"])


def test_no_other_room_asks_which_source_it_is() -> None:
    root = Path(__file__).parents[1]
    files = [*root.glob("rules/*.smk"), *root.glob("scripts/**/*.py")]
    others = [path for path in files if path.parent.name != "sources"]
    assert len(files) - len(others) == 6
    keys = "|".join(source.key for source in SOURCES)
    asks = re.compile(
        rf"[\"']({keys})[\"'] (not )?in (self\.)?(config|corpus|CORPUS|section)\b"
        rf"|(corpus|CORPUS|section)(\.get\(|\[)[\"']({keys})[\"']"
        rf"|(corpus|CORPUS)[\"']\](\.get\(|\[)[\"']({keys})[\"']"
    )
    asking = 'path = config["corpus"].get("pythia")', 'if "pythia" in corpus:'
    assert all(map(asks.search, asking))
    assert not [path for path in others if asks.search(path.read_text("utf-8"))]


NEW_SOURCE = """
from headwater.corpus.sources.base import Piece, Source

class Lines(Source):
    key = "lines"

    def gives_rows(self, section):
        return False

    def files(self, section, base):
        return {"poems": Piece((section["lines"],))}

    def problems(self, section, where, base):
        return []

    def fetch(self, target, name, origin, needs):
        raise AssertionError

SOURCE = Lines()
"""

ASK = """
import json
from pathlib import Path
from headwater.config.schema import load_schema
from headwater.corpus.sources import gives_rows, rows, texts
from headwater.imports import script_modules
corpus = {"lines": "poems.txt", "held_out": {"fraction": 0.1}}
pieces = texts(corpus, Path())
print(gives_rows(corpus), rows(corpus, Path()), pieces["poems"].paths[0])
print(*script_modules("order_rows"))
"""


def test_a_new_source_is_one_file(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(Path(__file__).parents[1] / "scripts", scripts)
    (scripts / "headwater/corpus/sources/lines.py").write_text(NEW_SOURCE)
    run = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=scripts,
        env={"PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer, modules = run.stdout.splitlines()
    assert answer == "False None poems.txt"
    assert "headwater/corpus/sources/lines.py" in modules.split()


# What the files of a local source must be


def test_too_few_local_rows_are_told_before_any_job(base: Path) -> None:
    os.truncate(base / "one/rows.bin", NEEDED - 130)
    (found,) = problems(source(pythia={"path": "one/rows.bin"}), base)
    assert found == (
        "c.yaml: corpus.pythia.path: one/rows.bin: rows 0 to 9,023 are needed "
        "(training.steps x training.batch_size, and corpus.held_out.rows after them), "
        "but it has only 9,023; lower training.steps or corpus.held_out.rows, or give "
        "all files"
    )
    fewer = source(pythia={"path": "one/rows.bin"}, held_out={"rows": 1023})
    load_config(fewer, "c.yaml", base)
    text = source(pythia={"path": "one/rows.bin"}, held_out={"shards": ["text"]})
    load_config(text, "c.yaml", base)


def test_local_token_files_must_be_one_whole(base: Path) -> None:
    os.truncate(base / "one/rows.bin", NEEDED + 1)
    (found,) = problems(source(pythia={"path": "one/rows.bin"}), base)
    assert "corpus.pythia.path: one/rows.bin: 1,173,121 bytes in all are no" in found
    (base / "pile/document-00000-of-00001.bin").unlink()
    (found,) = problems(source(pythia={"path": "pile"}), base)
    assert "corpus.pythia.path: pile: shard 00000 is missing before" in found


# The tokenizer's folder


def tokenizer(base: Path, *names: str) -> None:
    (base / "tok").mkdir()
    for name in names:
        (base / "tok" / name).write_text("{}")


@pytest.mark.parametrize("name", ["gpt2", "EleutherAI/pythia-14m", "tok", "./tok/"])
def test_tokenizers_that_are_accepted(name: str, base: Path) -> None:
    tokenizer(base, "tokenizer.json", "tokenizer_config.json")
    named = source(shards=["text"], tokenizer={"name": name})
    load_config(named, "c.yaml", base)


HUB = "; a tokenizer of the hub is <owner>/<name>"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/nope", f"no such folder{HUB}"),
        ("./x", f"no such folder{HUB}"),
        ("models/tok/x", f"no such folder{HUB}"),
        ("tok", "no tokenizer_config.json in this folder"),
        ("empty", "no tokenizer.json and no tokenizer_config.json in this folder"),
        ("tok/tokenizer.json", "not a folder; name the one that holds tokenizer.json"),
    ],
)
def test_a_tokenizer_s_folder_is_looked_into(name: str, text: str, base: Path) -> None:
    tokenizer(base, "tokenizer.json")
    found = problems(source(shards=["text"], tokenizer={"name": name}), base)
    assert found == [f'c.yaml: corpus.tokenizer.name: "{name}": {text}']


# The folder of a model's revisions

SHAPE = {
    **changed()["model"],
    "model_type": "gpt_neox",
    "vocab_size": 304,
    "rotary_pct": 0.25,
    "max_position_embeddings": 64,
}


def revision(folder: Path, weights: str = SAFE, **changes: Any) -> None:
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps({**SHAPE, **changes}))
    (folder / weights).touch()


def started(folder: str = "models", start: str = "step0") -> dict[str, Any]:
    config = changed(("model.vocab_size", 304))
    config["checkpoints"] = {"folder": folder, "start": start}
    return config


@pytest.mark.parametrize(
    "weights", [SAFE, PICKLED, f"{SAFE}.index.json", f"{PICKLED}.index.json"]
)
def test_a_revision_with_its_files_is_accepted(weights: str, base: Path) -> None:
    revision(base / "models/step0", weights)
    load_config(started(), "c.yaml", base)


def test_the_folder_of_revisions_must_hold_the_revision(base: Path) -> None:
    def told(config: dict[str, Any]) -> str:
        (found,) = problems(config, base)
        return found.removeprefix("c.yaml: checkpoints.folder: ")

    assert told(started()) == '"models": no such folder'
    (base / "models").mkdir()
    assert told(started()) == (
        '"models": no step0 in it; it must hold one folder for each revision'
    )
    revision(base / "models/step1")
    assert told(started()) == '"models": no step0 in it; the nearest are step1'
    (base / "models/step0").mkdir()
    place = f"{base / 'models/step0'}; put a Hugging Face checkpoint there"
    missing = f'"models": no {{}} in {place}'
    assert told(started()) == missing.format(CONFIG)
    (base / "models/step0" / CONFIG).write_text(json.dumps(SHAPE))
    assert told(started()) == missing.format(f"{SAFE} or {PICKLED}")


def test_a_folder_that_is_a_revision_itself_is_told(base: Path) -> None:
    revision(base / "models/step0")
    (found,) = problems(started("models/step0"), base)
    above = "but it must hold one folder for each revision; name the folder above it"
    assert found.endswith(f'"models/step0": a revision itself, {above}')
    revision(base / "models/mine")
    (found,) = problems(started("models/mine"), base)
    assert found.endswith(f"{above} (and mine as the revision)")
    load_config(started(start="mine"), "c.yaml", base)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hidden_size": 64}, "hidden_size is 64 in this model, model.hidden_size is"),
        ({"rotary_pct": 1.0}, "rotary_pct is 1.0 in this model, model.rotary_pct is"),
        (
            {"rope_parameters": {"partial_rotary_factor": 0.5}},
            "rotary_pct is 0.5 in this model",
        ),
        (
            {"rope_parameters": {"rope_theta": 500.0}},
            "rotary_emb_base is 500.0 in this model, model.rotary_emb_base is 10000",
        ),
        ({"use_parallel_residual": False}, "use_parallel_residual is False in this"),
        ({"model_type": "mamba"}, "a model of type 'mamba'; Headwater supports"),
        (
            {"model_type": "llama"},
            "a model of type 'llama', model.architecture is 'gpt_neox' in the config",
        ),
        ({"max_position_embeddings": 32}, "the model has 32 positions, corpus.seq_len"),
        (
            {"tie_word_embeddings": True},
            "tie_word_embeddings is true in this model; write model.tie_word",
        ),
        ({"num_hidden_layers": "x"}, "num_hidden_layers is 'x', but must be a whole"),
        ({"max_position_embeddings": None}, "max_position_embeddings is None, but"),
        ({"rope_parameters": "x"}, "rope_parameters is 'x', but must be an object"),
    ],
)
def test_a_local_model_of_another_shape_is_told(
    changes: dict[str, Any], text: str, base: Path
) -> None:
    revision(base / "models/step0", **changes)
    (found,) = problems(started(), base)
    assert f'checkpoints.folder: "models/step0/config.json": {text}' in found


@pytest.mark.parametrize("data", ["{", "[]", "\xff", "[" * 100_000])
def test_a_damaged_model_config_is_one_line(data: str, base: Path) -> None:
    revision(base / "models/step0")
    (base / "models/step0" / CONFIG).write_bytes(data.encode("latin-1"))
    (found,) = problems(started(), base)
    assert 'checkpoints.folder: "models/step0/config.json": ' in found


def test_the_page_s_own_revisions_are_accepted(base: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/your-model.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(experiment: mine\n.*?)```", page, re.DOTALL)
    raw = yaml.safe_load(text.replace("/data/mine/", ""))
    tokenizer(base, "tokenizer.json", "tokenizer_config.json")
    (base / "tok").rename(base / "tokenizer")
    shape = {**raw["model"], "max_position_embeddings": raw["corpus"]["seq_len"]}
    for name in raw["checkpoints"]["revisions"]:
        revision(base / "models" / name, **shape)
    rows, row = 2000 * 256 + 512, 2 * 1025
    with (base / "rows.bin").open("wb") as file:
        file.truncate(rows * row)  # no byte is written
        load_config(raw, "c.yaml", base)
        file.truncate((rows - 1) * row)
    (found,) = problems(raw, base)
    assert "rows 0 to 512,511 are needed" in found
    assert "512,512" in page  # as it says
