"""Rows of token ids that are in training order already.

Row i of the source is row i of the experiment (`steps`); the rows after the last one of
the training run are held out. Nothing says where their text came from, so every
document in a row (it ends with the end-of-document token) gets a detected domain.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headwater import stores
from headwater.corpus import detectors
from headwater.corpus.encoding import Encoder
from headwater.corpus.needs import RowNeeds
from headwater.corpus.rowstore import TOKEN_COUNTS, RowBlock, block_rows
from headwater.errors import HeadwaterError
from headwater.identity import Config

_TEXT_TOKENS = 1 << 20  # tokens whose text is in memory at once

logger = logging.getLogger("headwater")


class TokenRows(Protocol):
    """Rows of token ids, by number."""

    name: str

    def __len__(self) -> int:
        """Rows it has."""
        ...

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Rows `start` to `stop - 1`, in blocks of at most `size`: [rows, width]."""
        ...


class SourceOrder:
    """The order that the rows of a source come in; its attributes: `PackedOrder`'s."""

    stores_counts = True

    def __init__(self, source: TokenRows, encoder: Encoder, needs: RowNeeds) -> None:
        self._source, self._encoder, self._needs = source, encoder, needs
        self.rows, self.width = needs.training, needs.width
        self.attributes: dict[str, Any] = {
            "sources": [source.name],
            "domains": detectors.DOMAINS,
            "source_rows": True,  # a span's `line` is the row's number in its source
        }

    def blocks(self, rows: range) -> Iterator[RowBlock]:
        """Rows with their documents and the detected domains.

        A span is a document's stretch of a row; its characters count within the text of
        the row, and its `line` is the number of the row, from 0.

        Raises:
            HeadwaterError: too few rows, or a token id that the tokenizer lacks.
        """
        first = rows.start
        size = max(1, min(block_rows(self.width), _TEXT_TOKENS // self.width))
        for tokens in self._source.blocks(rows.start, rows.stop, size):
            check_ids(self._source.name, first, tokens, self._needs.vocabulary)
            yield _describe(tokens, first, self._encoder)
            first += len(tokens)


def read_shards(
    paths: Sequence[Path], encoder: Encoder, config: Config
) -> tuple[np.ndarray, dict[str, int]]:
    """How often each token, int64 [vocabulary], and each domain occurs in all shards.

    It is said if no document ends in any row: the tokenizer may be another one.
    """
    groups = [stores.open_group(path, config) for path in paths]
    counts = np.sum([stores.read(group, TOKEN_COUNTS) for group in groups], axis=0)
    domain = np.concatenate([stores.read(group, "domain") for group in groups])
    if counts[encoder.end_of_document] == 0:
        logger.warning(
            "token id %d, which ends a document by corpus.tokenizer, occurs in no "
            "training row; check that this tokenizer made the rows",
            encoder.end_of_document,
        )
    rows = np.bincount(domain, minlength=_KINDS).tolist()
    return counts, dict(zip(detectors.DOMAINS, rows, strict=True))


def check_ids(name: str, first: int, tokens: np.ndarray, vocabulary: int) -> None:
    """Refuse ids that the tokenizer does not have, padding of the embedding included.

    Args:
        first: number of the first row.
        tokens: [rows, width].

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
