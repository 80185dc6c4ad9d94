"""Sources of token ids: rows that are in training order already.

Row i of the source is row i of the experiment (`steps`); the rows after the last one of
the training run are held out. Nothing says where their text came from, so every
document in a row (it ends with the end-of-document token) gets a detected domain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headwater import stores
from headwater.corpus import detectors
from headwater.corpus.batches import BatchColumns, BatchFiles
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowstore import RowBlock, RowWriter, block_rows, token_dtype
from headwater.corpus.sources import rows_held_out
from headwater.corpus.tokenfiles import TokenFiles, open_local
from headwater.corpus.tokenparts import part_order_of
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.net.fetching import read_record
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.shares import share_of
from headwater.steps import training_rows

TOKENS_NAME = "tokens.bin"
TOKEN_COUNTS = "token_counts"
_TEXT_TOKENS = 1 << 20  # tokens whose text is in memory at once


class RowSource(Protocol):
    """Rows of token ids, by number."""

    name: str

    def __len__(self) -> int:
        """Rows it has."""
        ...

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Rows `start` to `stop - 1`, in blocks of at most `size`: [rows, width]."""
        ...


@dataclass(frozen=True)
class RowNeeds:
    """Which rows of a source an experiment uses.

    Attributes:
        width: tokens of a row, seq_len + 1.
        training: rows of the training run.
        after: rows held out after them, 0 if text is held out instead.
        batch_size: rows of a training step.
    """

    width: int
    training: int
    after: int
    batch_size: int

    @property
    def all(self) -> range:
        """All rows needed, from the first."""
        return range(self.training + self.after)


def needs_of(config: Config) -> RowNeeds:
    """The plan in a config."""
    corpus, training = config["corpus"], config["training"]
    return RowNeeds(
        width=corpus["seq_len"] + 1,
        training=training_rows(config),
        after=rows_held_out(corpus),
        batch_size=training["batch_size"],
    )


def open_source(paths: Sequence[Path], config: Config) -> RowSource:
    """Open a source that lies on this machine.

    Args:
        paths: its files, in order; or the folder that `fetch_rows` made.

    Raises:
        HeadwaterError: not such files, or too few rows.
    """
    plan, corpus = needs_of(config), config["corpus"]
    if paths[0].is_dir():
        return _open_fetched(paths[0], plan)
    if "pythia" in corpus:
        place, found = corpus["pythia"]["path"], [str(path) for path in paths]
        ordered = [Path(name) for name in part_order_of(place, found)]
        return open_local(ordered, plan.all, plan.width)
    names = [(str(path), str(path)) for path in paths]
    columns = columns_of(corpus)
    return BatchFiles(names, plan.all, plan.width, plan.batch_size, columns)


def _open_fetched(folder: Path, plan: RowNeeds) -> TokenFiles:
    record = read_record(folder)
    if record["width"] != plan.width or record["rows"] < plan.all.stop:
        raise HeadwaterError(
            f"{folder}: holds {record['rows']:,} rows of {record['width']:,} tokens, "
            f"the config now needs {plan.all.stop:,} of {plan.width:,}; delete it and "
            "run again"
        )
    dtype = np.dtype(record["dtype"])
    files = TokenFiles([folder / TOKENS_NAME], plan.width, dtype)
    files.name = record["source"]
    return files


def columns_of(corpus: dict[str, Any]) -> BatchColumns:
    """The columns that a config names."""
    return BatchColumns(corpus["parquet"]["tokens"], corpus["parquet"]["batch"])


def copy_rows(
    target: Path,
    shard: int,
    shards: int,
    source: RowSource,
    encoder: Encoder,
    plan: RowNeeds,
    identity: Identity,
) -> None:
    """Write one shard of the training order.

    Args:
        target: the Zarr store to publish: a rows group, and `token_counts`, int64
            [vocabulary].
        shard: its number, from 0.
        shards: how many there are.
        plan: which of them are used.

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    rows = share_of(plan.training, shards, shard)
    progress = Progress(f"rows {shard:04d}", len(rows), "rows")
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            **attributes(source, plan),
            first_row=rows.start,
            total_rows=plan.training,
        )
        writer = RowWriter(root, plan.width, token_dtype(encoder.vocabulary))
        counts = np.zeros(encoder.vocabulary, np.int64)
        for block in describe(source, rows, encoder, plan.width):
            writer.append(block)
            counts += np.bincount(block.tokens.reshape(-1), minlength=len(counts))
            progress.update(len(block.tokens))
        writer.close()
        stores.write_array(root, TOKEN_COUNTS, counts)


def attributes(source: RowSource, plan: RowNeeds) -> dict[str, Any]:
    """What stores of a source's rows say about them."""
    return {
        "sources": [source.name],
        "domains": detectors.DOMAINS,
        "seq_len": plan.width - 1,
        "source_rows": True,  # a span's `line` is the row's number in its source
    }


def describe(
    source: RowSource, rows: range, encoder: Encoder, width: int
) -> Iterator[RowBlock]:
    """Rows with their documents and the detected domains.

    A span is a document's stretch of a row; its characters count within the text of
    the row, and its `line` is the number of the row, from 0.

    Raises:
        HeadwaterError: a token id that the tokenizer does not have.
    """
    first = rows.start
    size = max(1, min(block_rows(width), _TEXT_TOKENS // width))
    for tokens in source.blocks(rows.start, rows.stop, size):
        check_ids(source.name, first, tokens, encoder.vocabulary)
        yield _describe(tokens, first, encoder)
        first += len(tokens)


def check_ids(name: str, first: int, tokens: np.ndarray, vocabulary: int) -> None:
    """Refuse ids that the tokenizer does not have, padding of the embedding included.

    Args:
        first: number of the first row.
        tokens: [rows, width].
        vocabulary: token ids of the tokenizer.

    Raises:
        HeadwaterError: names the row and the id.
    """
    if tokens.size == 0 or (int(tokens.max()) < vocabulary and int(tokens.min()) >= 0):
        return
    row, place = np.argwhere((tokens >= vocabulary) | (tokens < 0))[0].tolist()
    raise HeadwaterError(
        f"{name}: row {first + row:,} holds token id {int(tokens[row, place]):,} at "
        f"position {place}, but corpus.tokenizer has ids 0 to {vocabulary - 1:,}; give "
        "the tokenizer that made the rows"
    )


def _describe(tokens: np.ndarray, first: int, encoder: Encoder) -> RowBlock:
    rows, width = tokens.shape
    opens = np.ones((rows, width), bool)
    opens[:, 1:] = tokens[:, :-1] == encoder.end_of_document
    row, place = np.nonzero(opens)
    starts = row * width + place
    lengths = np.diff(np.append(starts, tokens.size))
    texts = encoder.decode_many(np.split(tokens.reshape(-1), starts[1:]))
    domain = np.array([_INDEX[detectors.detect(text)] for text in texts])
    characters = np.array([len(text) for text in texts])
    stop = np.cumsum(characters)
    stop -= np.repeat((stop - characters)[place == 0], np.bincount(row))
    spans = np.zeros((len(starts), 6), np.int64)
    spans[:, 1:] = np.stack([first + row, stop - characters, stop, place, domain], 1)
    weights = np.bincount(row * _KINDS + domain, lengths, rows * _KINDS)
    most = weights.reshape(rows, _KINDS).argmax(axis=1).astype(np.uint8)
    return RowBlock(tokens, most, np.bincount(row), spans)


_KINDS = len(detectors.KINDS)
_INDEX = {kind: index for index, kind in enumerate(detectors.KINDS)}
