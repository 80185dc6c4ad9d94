"""The rows in the page, as columns: tokens, scores, documents, repeated spans."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from headwater.corpus.rowstore import LINE, SOURCE, START, STOP, TOKEN, ragged_indices
from headwater.corpus.titles import read_titles
from headwater.influence.files import TokenTable
from headwater.report.page.inputs import Inputs, Ranking
from headwater.report.page.spans import Repeats, repeats
from headwater.report.page.values import Column

LONGEST = 256  # tokens of a row in the page, whose next one is predicted
PARTS = 127  # the largest part of a row as it is stored,
LEVELS = 12  # in so many steps: colours need no more, and they take half the bytes
WRITTEN = 3  # tokens that a row pushes in, and as many that it pushes out
SMALL_IDS = 1 << 16


@dataclass(frozen=True)
class Shown:
    """The rows in the page: of all targets, those of one document together.

    So they take a sixth fewer bytes than in the order of a ranking.

    Attributes:
        numbers: in the window.
        offsets: first token of each that the page holds.
    """

    run: Inputs
    numbers: Int64[np.ndarray, " rows"]
    offsets: Int64[np.ndarray, " rows"]

    @staticmethod
    def of(run: Inputs) -> "Shown":
        """Those that any of the targets shows."""
        kept = np.unique(np.concatenate([one.shown.kept for one in run.rankings]))
        spans, begins = run.spans
        first = spans[begins[kept]]
        keys = (first[:, START], first[:, LINE], first[:, SOURCE])
        numbers = kept[np.lexsort((*keys, run.window.domains()[kept]))]
        return Shown(run, numbers, _offsets(run, numbers))

    @property
    def width(self) -> int:
        """Tokens of a row in the page, the last of which is only predicted."""
        return min(self.run.length, LONGEST) + 1

    @cached_property
    def tokens(self) -> Int64[np.ndarray, "rows width"]:
        """Token ids."""
        whole = self.run.window.take(self.numbers)
        places = self.offsets[:, None] + np.arange(self.width)
        return np.asarray(np.take_along_axis(whole, places, axis=1))

    @cached_property
    def texts(self) -> list[str]:
        """The text of every row, of the tokens in the page."""
        return self.run.encoder.decode_many(list(self.tokens))

    @cached_property
    def documents(self) -> tuple[np.ndarray, np.ndarray]:
        """The spans of documents of all rows, and where each row's begin.

        As `Rows.span_table` has them, tokens counted in the page's part of the row.
        """
        spans, begins = self.run.spans
        counts = np.diff(begins)[self.numbers]
        picked = spans[ragged_indices(begins[self.numbers], counts)]
        row = np.repeat(np.arange(len(counts)), counts)
        last = np.append(row[1:] != row[:-1], True)
        ends = np.where(last, self.run.length + 1, np.append(picked[1:, TOKEN], 0))
        shift = self.offsets[row]
        here = (ends > shift) & (picked[:, TOKEN] < shift + self.width)
        picked[:, TOKEN] = np.maximum(picked[:, TOKEN] - shift, 0)
        offsets = np.append(0, np.cumsum(np.bincount(row[here], minlength=len(counts))))
        return picked[here], offsets

    @cached_property
    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Source and line of every document, and which one each span is of."""
        columns = self.documents[0][:, [SOURCE, LINE]]
        found, index = np.unique(columns, axis=0, return_inverse=True)
        return found, index.reshape(-1)

    @property
    def document_index(self) -> Int64[np.ndarray, " spans"]:
        """Of every span of `documents`, the place of its document in the list."""
        return self.distinct[1]

    @cached_property
    def titles(self) -> dict[tuple[int, int], str]:
        """Titles of the documents that have one, by source and line."""
        documents = self.distinct[0]
        found: dict[tuple[int, int], str] = {}
        for source, name in enumerate(self.run.window.rows.sources):
            lines = documents[documents[:, 0] == source, 1]
            if name in self.run.packed and len(lines):
                own = read_titles(self.run.packed[name], lines, self.run.config)
                found |= {(source, line): title for line, title in own.items()}
        return found

    @cached_property
    def repeated(self) -> Repeats:
        """The repeated spans of every row."""
        return repeats(self.tokens)

    def parts(self, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
        """Each token's part of the score, as int8, and the scale of every row.

        A part is its number over 127 times the scale, give or take a 24th of it; the
        scale is NaN where none is known.
        """
        known, place = _known(self, ranking.tokens)
        scores = np.zeros((len(self.numbers), self.width - 1), np.float64)
        columns = self.offsets[known][:, None] + np.arange(self.width - 1)
        scores[known] = np.take_along_axis(
            ranking.tokens.scores[place], columns, axis=1
        )
        scale = np.full(len(self.numbers), np.nan, np.float32)
        scale[known] = np.abs(scores[known]).max(axis=1)
        divisor = np.where(scale > 0, scale, 1)[:, None]
        steps = np.rint(LEVELS * scores / divisor) * (PARTS / LEVELS)
        return np.rint(steps).astype(np.int8), scale

    def written(self, ranking: Ranking) -> np.ndarray:
        """Tokens that each row pushes in and out [rows, 2, count]; none: the largest.

        See `gradients.writes`.
        """
        known, place = _known(self, ranking.tokens)
        found = np.full((len(self.numbers), 2, WRITTEN), _none(self), np.int64)
        found[known] = ranking.tokens.written[place][:, :, :WRITTEN]
        return found


def _none(shown: Shown) -> int:
    """The number that stands for no token."""
    few = shown.run.encoder.vocabulary < SMALL_IDS
    return SMALL_IDS - 1 if few else (1 << 32) - 1


def _known(shown: Shown, table: TokenTable) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of the page a table knows, and where they stand in it."""
    wanted = shown.numbers + shown.run.window.first
    place = np.searchsorted(table.rows, wanted)
    place[place == len(table.rows)] = 0
    known = np.flatnonzero(table.rows[place] == wanted)
    return known, place[known]


def _offsets(run: Inputs, numbers: np.ndarray) -> np.ndarray:
    """Where to cut long rows: around the most of their parts, over all targets."""
    nothing = np.zeros(len(numbers), np.int64)
    if run.length <= LONGEST:
        return nothing
    weight = np.zeros((len(numbers), run.length + 1))
    draft = Shown(run, numbers, nothing)
    for ranking in run.rankings:
        known, place = _known(draft, ranking.tokens)
        sizes = np.abs(ranking.tokens.scores[place])
        sizes /= np.maximum(sizes.sum(axis=1, keepdims=True), 1e-30)
        weight[known, 1:] += np.cumsum(sizes, axis=1)
    return np.asarray((weight[:, LONGEST:] - weight[:, :-LONGEST]).argmax(axis=1))


def row_columns(shown: Shown) -> Iterator[Column]:
    """All columns of the rows: what lists show, what is searched, then parts."""
    run, numbers = shown.run, shown.numbers
    wide = "u16" if _none(shown) < SMALL_IDS else "u32"
    yield Column.of("row", "u32", numbers + run.window.first)
    yield Column.of("step", "u32", run.window.step_of(numbers))
    yield Column.of("domain", "u16", run.window.domains()[numbers])
    yield Column.of("loss", "f32", run.losses[numbers] / run.length)
    for place, ranking in enumerate(run.rankings):
        yield Column.of(f"score_{place}", "f32", ranking.scores[numbers])
        yield Column.of(f"rank_{place}", "u32", ranking.shown.ranks[numbers])
        yield Column.of(f"why_{place}", "u8", ranking.shown.why[numbers])
    yield Column.of("offset", "u16", shown.offsets)
    yield from _document_columns(shown)
    yield Column.of("tokens", wide, shown.tokens)
    yield from _span_columns(shown)
    for place, ranking in enumerate(run.rankings):
        parts, scale = shown.parts(ranking)
        yield Column.of(f"parts_{place}", "i8", parts)
        yield Column.of(f"scale_{place}", "f32", scale)
        yield Column.of(f"written_{place}", wide, shown.written(ranking))


def _span_columns(shown: Shown) -> Iterator[Column]:
    found = shown.repeated
    yield Column.of("span_offsets", "u32", found.offsets)
    yield Column.of("span_start", "u16", found.start)
    yield Column.of("span_end", "u16", found.end)
    yield Column.of("span_id", "u16", found.id)


def _document_columns(shown: Shown) -> Iterator[Column]:
    spans, offsets = shown.documents
    yield Column.of("doc_offsets", "u32", offsets)
    yield Column.of("doc_index", "u32", shown.document_index)
    yield Column.of("doc_token", "u16", spans[:, TOKEN])
    yield Column.of("doc_start", "u32", spans[:, START])
    yield Column.of("doc_stop", "u32", spans[:, STOP])


def document_list(shown: Shown) -> list[dict[str, object]]:
    """The documents that the rows hold parts of: file, line, and title if known."""
    rows = shown.run.window.rows
    names = [rows.file_of(source) for source in rows.sources]
    return [
        {"file": names[source], "line": line, "title": shown.titles.get((source, line))}
        for source, line in shown.distinct[0].tolist()
    ]
