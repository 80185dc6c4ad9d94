"""Rows of a run: their scores, text, tokens and documents."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from headwater.corpus.encoding import TOKENIZER_NAME, Encoder
from headwater.corpus.files import row_shards
from headwater.corpus.rows import Rows, Span
from headwater.corpus.rowstore import RowBlock, stored_rows, take_stored
from headwater.corpus.window import Window, WindowRows
from headwater.errors import HeadwaterError, again
from headwater.identity import Config
from headwater.influence.files import read_losses, read_scores, read_tokens
from headwater.library.places import Places
from headwater.stores import open_group


class RowReader:
    """The stores of rows, scores and tokens of one run, each opened once.

    Args:
        config: all of them are checked against it.
    """

    def __init__(self, places: Places, config: Config) -> None:
        self._places, self._config = places, config
        self._parts: dict[str, dict[int, np.ndarray]] = {}

    @cached_property
    def shards(self) -> list[Path]:
        """The row shards, in training order."""
        paths = row_shards(Path("corpus"), self._config)
        return [self._places.there(path.as_posix()) for path in paths]

    @cached_property
    def rows(self) -> Rows:
        """All training rows."""
        return Rows(self.shards, self._config)

    @cached_property
    def _groups(self) -> list[zarr.Group]:
        return [open_group(path, self._config) for path in self.shards]

    @cached_property
    def encoder(self) -> Encoder:
        """The run's tokenizer."""
        return Encoder.open(self.tokenizer_file.parent, self._config)

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer as its library writes it."""
        return self._places.there("corpus/tokenizer") / TOKENIZER_NAME

    def window_rows(self, window: Window) -> WindowRows:
        """The rows of the window."""
        return WindowRows(self.shards, window, self._config)

    def values(self, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Scores and losses of the window's rows: float32 [rows] each."""
        path = self._places.there(f"influence/{target}.zarr")
        return read_scores([path], self._config), read_losses([path], self._config)

    def scores(self, target: str, window: Window) -> pd.DataFrame:
        """See `Run.scores`."""
        scores, losses = self.values(target)
        rows = self.window_rows(window)
        if len(scores) != len(rows):
            path = self._places.folder / f"influence/{target}.zarr"
            raise HeadwaterError(
                f"{path}: of {len(scores):,} rows, the window has {len(rows):,}; "
                f"{again(path)}"
            )
        ranks = np.empty(len(scores), np.int64)
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        numbers = np.arange(len(scores))
        names = np.array(rows.rows.domain_names, object)
        return pd.DataFrame(
            {
                "row": numbers + rows.first,
                "step": rows.step_of(numbers),
                "domain": names[rows.domains()],
                "score": scores,
                "loss": losses,
                "rank": ranks,
            }
        )

    def ids(self, row: int) -> np.ndarray:
        """Token ids of a row: int64 [seq_len + 1].

        Raises:
            HeadwaterError: there is no such row.
        """
        row = self.number(row)
        return self.rows.tokens(row, row + 1)[0]

    def take(self, numbers: np.ndarray) -> RowBlock:
        """Rows with their domains and spans, in the order given.

        Args:
            numbers: int64 [n], repeats allowed; there are such rows.
        """
        order = np.argsort(numbers, kind="stable")
        ranked, first = numbers[order], 0
        found: list[RowBlock] = []
        for group in self._groups:
            count = stored_rows(group)
            low, high = np.searchsorted(ranked, (first, first + count))
            found += take_stored(group, ranked[low:high] - first)
            first += count
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return RowBlock.join(found).take(places)

    def number(self, row: int) -> int:
        """A row's number, if there is such a row."""
        count = len(self.rows)
        if not isinstance(row, int | np.integer) or isinstance(row, bool):
            raise HeadwaterError(f"row {row!r}: expected the number of a row")
        if not 0 <= row < count:
            raise HeadwaterError(
                f"row {row:,}: the training order has rows 0 to {count - 1:,}"
            )
        return int(row)

    def text(self, row: int) -> str:
        """See `Run.text`."""
        return self.encoder.decode(self.ids(row))

    def tokens(self, row: int, target: str) -> pd.DataFrame:
        """See `Run.tokens`."""
        ids, spans = self.ids(row), self.rows.spans(self.number(row))
        of = _span_of_each(spans, len(ids))
        column = {
            name: np.array([getattr(span, name) for span in spans], object)[of]
            for name in ("source", "line", "domain")
        }
        return pd.DataFrame(
            {
                "position": np.arange(len(ids)),
                "token": ids,
                "text": self.encoder.decode_many(np.split(ids, len(ids))),
                "document": of,
                "source": column["source"],
                "line": column["line"].astype(np.int64),
                "domain": column["domain"],
                "score": self._token_scores(row, target, len(ids)),
            }
        )

    def documents(self, row: int) -> pd.DataFrame:
        """See `Run.documents`."""
        spans = self.rows.spans(self.number(row))
        names = ("source", "line", "start", "stop", "domain", "token", "place")
        columns = {name: [getattr(span, name) for span in spans] for name in names}
        return pd.DataFrame({"document": range(len(spans)), **columns})

    def _token_scores(self, row: int, target: str, length: int) -> np.ndarray:
        """Each token's part of the row's score; missing where it was not computed."""
        name = f"influence/{target}.tokens.h5"
        if target not in self._parts and self._places.names(name):
            known = read_tokens(self._places.there(name), self._config)
            self._parts[target] = {row: part.scores for row, part in known.items()}
        parts = self._parts.get(target, {}).get(row)
        if parts is None:
            return np.full(length, np.nan, np.float32)
        return np.append(parts, np.float32(0))  # the last token is only predicted


def _span_of_each(spans: list[Span], length: int) -> np.ndarray:
    """The span that each token of a row belongs to, int64 [length]."""
    starts = [span.token for span in spans]
    return np.searchsorted(starts, np.arange(length), side="right") - 1
