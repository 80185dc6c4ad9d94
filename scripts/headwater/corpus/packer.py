"""A stream of documents to rows of tokens, each with the characters it was made from.

The tokens of all documents, each followed by the end-of-document token, form one long
stream; a row is the next `seq_len + 1` tokens of it. Or every document begins a row, so
that no row holds two; what is left at a document's end, less than a row, is dropped.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from headwater.corpus.documents import Document
from headwater.corpus.encoding import EncodedPiece, Encoder, split_points
from headwater.corpus.rowstore import RowBlock, RowWriter, token_dtype

_BATCH_CHARACTERS = 1_000_000


class Piece(NamedTuple):
    """A stretch of a document small enough for the tokenizer; the last one ends it."""

    text: str
    line: int
    domain: int
    start: int
    stop: int
    last: bool


class Packer:
    """Turns a stream of documents into rows; memory holds one batch of text.

    A *cut* is a place in the token stream where a span begins: the first token of a
    document or of a row. Its columns are position, line, first character, domain, and
    the last-plus-one character of the span that it ends.

    Args:
        apart: whether every document begins a row.
    """

    def __init__(
        self, encoder: Encoder, width: int, writer: RowWriter, apart: bool = False
    ) -> None:
        self._encoder, self._width, self._writer = encoder, width, writer
        self._apart, self._dropped = apart, 0
        self.token_counts = np.zeros(encoder.vocabulary, np.int64)
        self.domain_tokens: Counter[int] = Counter()
        self.domain_rows: Counter[int] = Counter()
        self._pieces: list[Piece] = []
        self._characters = 0
        self._tokens = np.empty(0, token_dtype(encoder.vocabulary))
        self._cuts = np.empty((0, 5), np.int64)
        self._first = 0  # stream position of self._tokens[0], always where a row begins
        self._last_stop = 0  # the last character stop of the stream so far

    def add(self, document: Document, domain: int) -> None:
        """Append a document of the domain with this index."""
        for start, stop in split_points(document.text):
            text = document.text[start:stop]
            last = stop == len(document.text)
            self._pieces.append(Piece(text, document.line, domain, start, stop, last))
            self._characters += stop - start
            if self._characters >= _BATCH_CHARACTERS:
                self._encode()
        if self._apart:
            self._close()

    def finish(self) -> int:
        """Write what is left; returns the tokens dropped, under a row at each end."""
        self._close()
        self._writer.close()
        return self._dropped

    def _close(self) -> None:
        """Write the whole rows of what is left, and drop the rest."""
        self._encode()
        end = self._first + len(self._tokens)
        closing = np.array([[end, 0, 0, 0, self._last_stop]], np.int64)
        self._cuts = np.concatenate([self._cuts, closing])
        self._emit(end // self._width)
        self._dropped += len(self._tokens)
        self._tokens, self._cuts = self._tokens[:0], self._cuts[:0]

    def _encode(self) -> None:
        if not self._pieces:
            return
        pieces, self._pieces, self._characters = self._pieces, [], 0
        encoded = self._encoder.encode([piece.text for piece in pieces])
        sizes = [len(e.ids) + p.last for p, e in zip(pieces, encoded, strict=True)]
        begins = np.concatenate([[0], np.cumsum(sizes)])
        tokens = np.full(begins[-1], self._encoder.end_of_document, self._tokens.dtype)
        for begin, piece in zip(begins, encoded, strict=False):
            tokens[begin : begin + len(piece.ids)] = piece.ids
        self._count(pieces, tokens, sizes)
        cuts = self._find_cuts(pieces, encoded, begins)
        self._cuts = np.concatenate([self._cuts, cuts])
        self._tokens = np.concatenate([self._tokens, tokens])
        self._last_stop = pieces[-1].stop
        # A row that ends with the batch waits: the cut that closes it comes next.
        self._emit((self._first + len(self._tokens) - 1) // self._width)

    def _count(self, pieces: list[Piece], tokens: np.ndarray, sizes: list[int]) -> None:
        self.token_counts += np.bincount(tokens, minlength=len(self.token_counts))
        for piece, size in zip(pieces, sizes, strict=True):
            self.domain_tokens[piece.domain] += size

    def _find_cuts(
        self, pieces: list[Piece], encoded: list[EncodedPiece], begins: np.ndarray
    ) -> np.ndarray:
        base = self._first + len(self._tokens)
        opens = np.array([piece.start == 0 for piece in pieces])
        rows = np.arange(-base % self._width, begins[-1], self._width)
        places = np.union1d(begins[:-1][opens], rows)
        owners = np.searchsorted(begins[:-1], places, side="right") - 1
        cuts = np.empty((len(places), 5), np.int64)
        cuts[:, 0] = base + places
        for cut, owner, token in zip(
            cuts, owners.tolist(), (places - begins[owners]).tolist(), strict=True
        ):
            piece = pieces[owner]
            before = pieces[owner - 1].stop if owner else self._last_stop
            start, stop = _characters(piece, encoded[owner], token, before)
            cut[1:] = piece.line, start, piece.domain, stop
        return cuts

    def _emit(self, end: int) -> None:
        """Write the rows before row number `end` of the stream."""
        stop = end * self._width
        if stop <= self._first:
            return
        count = (stop - self._first) // self._width
        tokens = self._tokens[: stop - self._first].reshape(count, self._width)
        known = int(np.searchsorted(self._cuts[:, 0], stop))
        block = _to_rows(tokens, self._cuts[: known + 1], self._first)
        self._writer.append(block)
        self.domain_rows.update(block.domain.tolist())
        self._tokens = self._tokens[stop - self._first :].copy()
        self._cuts = self._cuts[known:].copy()
        self._first = stop


def _characters(
    piece: Piece, encoded: EncodedPiece, token: int, before: int
) -> tuple[int, int]:
    """Where a span that begins at this token starts, and the one before it stops."""
    if token == 0:
        return piece.start, before
    stop = piece.start + encoded.characters(token - 1)[1]
    if token == len(encoded.ids):  # the end-of-document token
        return piece.stop, stop
    return piece.start + encoded.characters(token)[0], stop


def _to_rows(tokens: np.ndarray, cuts: np.ndarray, first: int) -> RowBlock:
    """Rows [count, width] from the cuts in them and the one that closes the last."""
    count, width = tokens.shape
    position = cuts[:-1, 0] - first
    row = position // width
    domain = cuts[:-1, 3]
    sources = np.zeros_like(row)
    columns = (
        sources,
        cuts[:-1, 1],
        cuts[:-1, 2],
        cuts[1:, 4],
        position % width,
        domain,
    )
    domains = int(domain.max()) + 1
    weights = np.bincount(
        row * domains + domain, weights=np.diff(cuts[:, 0]), minlength=count * domains
    )
    return RowBlock(
        tokens,
        weights.reshape(count, domains).argmax(axis=1).astype(np.uint8),
        np.bincount(row, minlength=count),
        np.stack(columns, axis=1),
    )
