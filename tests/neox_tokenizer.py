"""The GPT-NeoX tokenizer, as Pythia uses it (see data/gpt-neox-20b/README.md)."""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from headwater.corpus.encoding import DESCRIPTION_NAME, TOKENIZER_NAME, count_ids
from headwater.identity import identity

FILE = Path(__file__).parent / "data/gpt-neox-20b/tokenizer.json.xz"
VOCABULARY = 50_277  # ids of the tokenizer; Pythia's embedding has 50,304 rows


@cache
def tokenizer_json() -> str:
    """The content of `tokenizer.json`."""
    return lzma.decompress(FILE.read_bytes()).decode()


def neox_tokenizer() -> Tokenizer:
    """A new tokenizer."""
    return Tokenizer.from_str(tokenizer_json())


def hub_folder(folder: Path) -> Path:
    """A folder as the hub has it, for `corpus.tokenizer.name`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER_NAME).write_text(tokenizer_json())
    settings = {
        "tokenizer_class": "GPTNeoXTokenizer",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def neox_folder(folder: Path, config: dict[str, Any]) -> Path:
    """The published tokenizer folder of an experiment, without `transformers`."""
    folder.mkdir(parents=True)
    (folder / TOKENIZER_NAME).write_text(tokenizer_json())
    description = {
        "headwater": identity("corpus", config, part="tokenizer"),
        "end_of_document": 0,
        "vocabulary": count_ids(neox_tokenizer()),
    }
    (folder / DESCRIPTION_NAME).write_text(json.dumps(description))
    return folder
