"""The report's HTML pages: self-contained, without scripts, everything escaped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tokenizers import Tokenizer

from headwater.corpus.rows import Rows, Span
from headwater.heads.targets import Choice, Target
from headwater.influence.ranking import three_digits
from headwater.report import TEMPLATES, words
from headwater.report.visible import visible

if TYPE_CHECKING:  # it needs h5py, which the other pages do not
    from headwater.influence.files import RowTokens

Titled = Mapping[str, tuple[str, pd.DataFrame]]  # title to explanation and table


@dataclass(frozen=True)
class Piece:
    """Some tokens that spell whole characters.

    Attributes:
        text: what they spell.
        score: their part of the row's score.
        strength: the score as a share of the row's largest, -1 to 1.
    """

    text: str
    score: float
    strength: float


@dataclass(frozen=True)
class Passage:
    """A stretch of a row from one document."""

    span: Span
    pieces: list[Piece]


@dataclass(frozen=True)
class TopRow:
    """One of a target's highest rows; `loss` in nats, summed over its tokens.

    `pushed_in` and `pushed_out` are texts of tokens, see `gradients.writes`.
    """

    rank: int
    row: int
    step: int
    domain: str
    score: float
    loss: float
    passages: list[Passage]
    pushed_in: list[str]
    pushed_out: list[str]


@dataclass(frozen=True)
class TopRows:
    """The highest rows of one target."""

    name: str
    target: Target
    rows: list[TopRow]


def top_rows(
    ranked: pd.DataFrame,
    rows: Rows,
    tokenizer: Tokenizer,
    known: "Mapping[int, RowTokens]",
    count: int,
) -> list[TopRow]:
    """The `count` highest rows of a ranked table, with their text and sources.

    Args:
        known: of the rows' tokens, by global row number.
    """

    def texts(ids: np.ndarray) -> list[str]:
        return [tokenizer.decode([int(i)], skip_special_tokens=False) for i in ids]

    return [
        TopRow(
            rank=int(line.rank),
            row=int(line.row),
            step=int(line.step),
            domain=str(line.domain),
            score=float(line.score),
            loss=float(line.loss),
            passages=passages(rows, int(line.row), tokenizer, known[line.row].scores),
            pushed_in=texts(known[line.row].written[0]),
            pushed_out=texts(known[line.row].written[1]),
        )
        for line in ranked.nsmallest(count, "rank").itertuples()
    ]


def passages(
    rows: Rows, row: int, tokenizer: Tokenizer, scores: np.ndarray
) -> list[Passage]:
    """A row's text, document by document, with each token's part of its score."""
    tokens = rows.tokens(row, row + 1)[0]
    spans = rows.spans(row)
    # The last token is only predicted: nothing is computed at its place.
    scores = np.append(scores, 0.0)
    cuts = [span.token for span in spans[1:]]
    parts = zip(np.split(tokens, cuts), np.split(scores, cuts), strict=True)
    found = [list(pieces(own, score, tokenizer)) for own, score in parts]
    most = max((abs(score) for own in found for _, score in own), default=0) or 1.0
    return [
        Passage(span, [Piece(text, score, score / most) for text, score in own])
        for span, own in zip(spans, found, strict=True)
    ]


def pieces(
    tokens: np.ndarray, scores: np.ndarray, tokenizer: Tokenizer
) -> Iterator[tuple[str, float]]:
    """Tokens as (text, score); those that share a character come together."""
    waiting: list[int] = []
    total = 0.0
    for place, (token, score) in enumerate(zip(tokens, scores, strict=True)):
        waiting.append(int(token))
        total += float(score)
        text = tokenizer.decode(waiting, skip_special_tokens=False)
        if text.endswith("\ufffd") and place + 1 < len(tokens) and len(waiting) < 4:
            continue
        yield text, total
        waiting, total = [], 0.0


def top_rows_page(
    experiment: str,
    targets: Sequence[TopRows],
    choice: Choice,
    seq_len: int,
    planted: str | None,
    checkpoints: int,
    tables: Titled | None = None,
) -> str:
    """The page of the highest rows of all targets, with tables at its end.

    Args:
        planted: name of the generated domain, if there is one.
        checkpoints: at how many influence was measured.
    """
    return _render(
        "top_rows.html",
        experiment=experiment,
        targets=targets,
        choice=choice,
        seq_len=seq_len,
        planted=planted,
        mean=words.MEAN_SCORES.format(checkpoints=checkpoints) * (checkpoints > 1),
        found=any(row.domain == planted for part in targets for row in part.rows),
        tables=tables or {},
    )


def tables_page(experiment: str, summary: str, tables: Titled) -> str:
    """The summary and the tables behind it, see `tables.titled`."""
    return _render(
        "summary.html", experiment=experiment, summary=summary, tables=tables
    )


def cell(value: Any) -> str:
    """A table's cell as text: `three_digits`, none from 100 on, `–` for nothing."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if np.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else three_digits(value)


def _render(template: str, **values: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["cell"] = cell
    environment.globals.update(
        about=words.about,
        how_chosen=words.how_chosen,
    )
    return environment.get_template(template).render(**values)
