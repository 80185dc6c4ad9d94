"""What the corpus can be made of. Read while rules are parsed."""

from collections.abc import Mapping
from typing import Any

SOURCE_SUFFIX = ".jsonl.zst"
HELD_OUT_ROWS = 1024


def has_rows(corpus: Mapping[str, Any]) -> bool:
    """Whether a source gives token ids, rows in training order, and not text.

    Args:
        corpus: the section of the config.
    """
    tokens = "tokens" in corpus.get("dataset", {})
    return tokens or "pythia" in corpus or "parquet" in corpus


def rows_held_out(corpus: Mapping[str, Any]) -> int:
    """Rows that are held out after those of training; 0 if text is held out instead.

    Args:
        corpus: the section of the config, with a source of token ids.
    """
    held_out = corpus["held_out"]
    return 0 if "shards" in held_out else held_out.get("rows", HELD_OUT_ROWS)
