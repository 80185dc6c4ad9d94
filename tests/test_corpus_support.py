"""Small shards, tokenizers and configs for the tests of the corpus stage."""

import json
import random
import runpy
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, normalizers, processors

from headwater.corpus.documents import zstd
from headwater.corpus.encoding import DESCRIPTION_NAME, Encoder, count_ids
from headwater.corpus.sources import gives_rows, rows, texts
from headwater.corpus.tokenizer import save_trained, train
from headwater.identity import identity

SCRIPTS = Path(__file__).parent.parent / "scripts"

ORDINARY = "the of and to in is that for it as was with be by on not he his but at "
WORDS = [
    *ORDINARY.split(),
    *("naïve", "café", "東京", "здравствуй", "😀", "e\u0301", "don't", "x=1;", "\0"),
    *(
        "",
        "",
        "",
        "",
        "tab\tbed",
        "three\n\nline\r\n",
        " \n",
        "\u00a0",
        "<|endoftext|>",
    ),
]


def line(text: Any, domain: Any = "prose") -> bytes:
    """One line of a shard."""
    return json.dumps({"text": text, "meta": {"pile_set_name": domain}}).encode()


def write_shard(path: Path, lines: Iterable[bytes]) -> Path:
    """A `.jsonl.zst` file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(part + b"\n" for part in lines)
    path.write_bytes(zstd.compress(data))
    return path


def some_text(seed: int, words: int) -> str:
    """Text with several scripts, runs of white space and a combining mark."""
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def some_documents(count: int, seed: int = 0, words: int = 60) -> list[bytes]:
    """Lines of documents in three domains."""
    domains = ("prose", "code", "xml")
    return [
        line(f"{i} " + some_text(1000 * seed + i, (i * 37) % words), domains[i % 3])
        for i in range(count)
    ]


def small_encoder(vocab_size: int = 300) -> Encoder:
    """A byte-level BPE trained on the words above."""
    return Encoder(train(iter([some_text(0, 2000)]), vocab_size), 0)


def pythia_like() -> Tokenizer:
    """Like Pythia's tokenizer: NFC, added runs of spaces, trimmed offsets."""
    tokenizer = train(iter([some_text(0, 2000)]), 300)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    runs = [AddedToken(" " * n, normalized=True, special=False) for n in (4, 3, 2)]
    tokenizer.add_tokens(runs)
    return tokenizer


def small_config(**changes: Any) -> dict[str, Any]:
    """The sections the corpus stage reads; `changes` by dotted key ("__" for ".")."""
    config: dict[str, Any] = {
        "experiment": "test",
        "seed": 0,
        "corpus": {
            "shards": ["text"],
            "on_bad_line": "fail",
            "seq_len": 16,
            "packing": "stream",
            "tokenizer": {"vocab_size": 300},
            "held_out": {"fraction": 0.2, "rows_per_domain": 5},
            "records": {
                "fraction": 0.25,
                "min_length": 3,
                "max_length": 6,
                "varying": 0.2,
                "hidden": False,
                "repeats": 0.0,
                "noise": 0.0,
            },
            "row_shards": 2,
        },
        "model": {},
        "training": {"steps": 10, "batch_size": 8},
    }
    for key, value in changes.items():
        *path, last = key.split("__")
        section = config
        for name in path:
            section = section[name]
        section[last] = value
    return config


def token_config(
    width: int, steps: int, batch_size: int, **corpus: Any
) -> dict[str, Any]:
    """A config whose source holds rows of token ids; `corpus` names it."""
    config = small_config(
        corpus__seq_len=width - 1,
        corpus__tokenizer={"name": "tokenizer", "revision": "main"},
        training={"steps": steps, "batch_size": batch_size},
    )
    del config["corpus"]["shards"]
    config["corpus"]["records"]["fraction"] = 0.0
    config["corpus"]["held_out"] = {"fraction": 0.06, "rows_per_domain": 5}
    held_out = corpus.pop("held_out", {})
    config["corpus"].update(corpus)
    config["corpus"]["held_out"].update(held_out)
    return config


def tokenizer_folder(folder: Path, config: dict[str, Any]) -> Path:
    """A tokenizer folder of 300 ids as the workflow makes it, without fetching one."""
    path = folder / "tokenizer"
    if not path.exists():
        path.mkdir(parents=True)
        tokenizer = train(iter([some_text(0, 2000)]), 300)
        end = save_trained(path, tokenizer)
        description = {
            "headwater": identity("corpus", config, part="tokenizer"),
            "end_of_document": end,
            "vocabulary": count_ids(tokenizer),
        }
        (path / DESCRIPTION_NAME).write_text(json.dumps(description))
    return path


class Named(list):
    """Inputs or outputs of a job: a list with names, like Snakemake's."""

    def __init__(self, named: dict[str, Any]) -> None:
        listed = [v if isinstance(v, list | tuple) else [v] for v in named.values()]
        super().__init__(str(path) for paths in listed for path in paths)
        self.__dict__.update(named)


def run_script(
    rule: str,
    config: dict[str, Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    log: Path,
    **wildcards: str,
) -> None:
    """Run a rule's script as Snakemake would."""
    job = SimpleNamespace(
        params=SimpleNamespace(
            origin=_origin(rule, config["corpus"]),
            all_held_out=gives_rows(config["corpus"]),
        ),
        input=Named({"packed": [], "source": [], "rows": [], **inputs}),
        output=Named(outputs),
        wildcards=SimpleNamespace(**wildcards),
        config=config,
        threads=1,
        log=[str(log)],
    )
    runpy.run_path(str(SCRIPTS / f"{rule}.py"), init_globals={"snakemake": job})


def _origin(rule: str, corpus: dict[str, Any]) -> Any:
    """What the rules that fetch are given, of one piece."""
    if rule == "fetch_rows":
        piece = rows(corpus, Path())
    elif rule == "fetch_text":
        piece = next(iter(texts(corpus, Path()).values()))
    else:
        return None
    return piece and piece.origin


def build_packed(
    folder: Path, config: dict[str, Any], shards: Sequence[Path]
) -> dict[str, Any]:
    """Tokenizer and packed stores; returns the inputs of the rules that follow."""
    log, tokenizer = folder / "log", folder / "tokenizer"
    run_script("train_tokenizer", config, {"texts": shards}, {"folder": tokenizer}, log)
    packed = []
    for shard in shards:
        source = shard.name.removesuffix(".jsonl.zst")
        packed.append(folder / "packed" / f"{source}.zarr")
        inputs = {"text": shard, "tokenizer": tokenizer}
        outputs = {"store": packed[-1]}
        run_script("tokenize_source", config, inputs, outputs, log, source=source)
    return {"packed": packed, "tokenizer": tokenizer}


def build_rows(
    folder: Path, config: dict[str, Any], inputs: dict[str, Any]
) -> list[Path]:
    """All shards of the training order."""
    paths = []
    for index in range(config["corpus"]["row_shards"]):
        shard = f"{index:04d}"
        paths.append(folder / f"{shard}.zarr")
        outputs = {"store": paths[-1]}
        log = folder / "log"
        run_script("order_rows", config, inputs, outputs, log, shard=shard)
    return paths


def build_held_out(
    folder: Path, config: dict[str, Any], inputs: dict[str, Any]
) -> Path:
    """The held-out store, with `summary.json` beside it."""
    store, summary = folder / "held_out.zarr", folder / "summary.json"
    outputs = {"held_out": store, "summary": summary}
    run_script("hold_out", config, inputs, outputs, folder / "log")
    return store


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class ByteEncoder:
    """A stand-in for `Encoder` that is fast: every byte is a token."""

    vocabulary, end_of_document = 257, 256

    def encode(self, texts: Sequence[str]) -> list[Any]:
        return [
            SimpleNamespace(
                ids=np.frombuffer(text.encode(), np.uint8),
                characters=lambda token: (token, token + 1),
            )
            for text in texts
        ]
