"""Rows of token ids in a folder of this machine: as they are fetched, and read again.

The folder holds `tokens.bin`, the rows one after the other, and the record of where
they came from (`net.fetching`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headwater.corpus.needs import RowNeeds
from headwater.corpus.rowstore import token_dtype
from headwater.corpus.tokenfiles import TokenFiles
from headwater.corpus.tokenrows import check_ids
from headwater.errors import HeadwaterError, again
from headwater.net.fetching import (
    SYNC_BYTES,
    GrowingFile,
    check_space,
    read_record,
    write_record,
)
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.steps import past_the_end

TOKENS_NAME = "tokens.bin"

# Rows [rows, width], and the state from which what comes after them is had again.
Block = tuple[np.ndarray, dict[str, Any]]


def fetch_blocks(
    target: Path,
    name: str,
    parts: Sequence[Any],
    needs: RowNeeds,
    blocks: Callable[[Mapping[str, Any]], Iterable[Block]],
    *settings: Any,
) -> None:
    """Publish a folder with the rows that a source gives in order.

    Args:
        name: of the source.
        parts: what they come from, for the record.
        blocks: gives the rows that are missing, from the state after the last ones.
        settings: what they depend on besides.

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    dtype, total = token_dtype(needs.vocabulary), needs.all.stop
    with publish_folder(target, identity_of([*parts, *settings], needs)) as folder:
        file = GrowingFile(folder / TOKENS_NAME)
        done, state = file.state.get("rows", 0), file.state
        progress = Progress(f"fetching {name}", total, "rows", done=done)
        check_space(file.path, (total - done) * needs.width * dtype.itemsize)
        for tokens, source_state in blocks(state):
            if done == total:
                break
            tokens = tokens[: total - done]
            check_ids(name, done, tokens, needs.vocabulary)
            file.write(tokens.astype(dtype).tobytes())
            done += len(tokens)
            progress.update(len(tokens))
            state = {"rows": done, **source_state}
            if file.unsure >= SYNC_BYTES:
                file.commit(state)
        if done < total:
            raise past_the_end(name, needs.all, done)
        file.commit(state)
        file.finish()
        write_rows_record(folder, name, dtype, needs, parts)


def identity_of(origin: Iterable[Any], needs: RowNeeds) -> Identity:
    """Of a folder whose rows come from there."""
    return {
        "part": "fetched rows",
        "origin": [str(entry) for entry in origin],
        "rows": needs.all.stop,
        "width": needs.width,
    }


def write_rows_record(
    folder: Path, name: str, dtype: np.dtype, needs: RowNeeds, parts: Sequence[Any]
) -> None:
    """Write the record of a folder of rows."""
    shape = {"rows": needs.all.stop, "width": needs.width}
    write_record(folder, list(parts), source=name, dtype=dtype.str, **shape)


def open_fetched(folder: Path, needs: RowNeeds) -> TokenFiles:
    """Open a folder of rows.

    Raises:
        HeadwaterError: not one, or it was made for fewer rows or others.
    """
    record = read_record(folder)
    if record["width"] != needs.width or record["rows"] < needs.all.stop:
        raise HeadwaterError(
            f"{folder}: holds {record['rows']:,} rows of {record['width']:,} tokens, "
            f"the config now needs {needs.all.stop:,} of {needs.width:,}; "
            f"{again(folder)}"
        )
    dtype = np.dtype(record["dtype"])
    files = TokenFiles([folder / TOKENS_NAME], needs.width, dtype)
    files.name = record["source"]
    return files
