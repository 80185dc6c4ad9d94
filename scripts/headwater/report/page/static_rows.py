"""The first rows of every target as plain text, for readers without JavaScript."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.report.page.inputs import Ranking
from headwater.report.page.rows import Shown

COUNT = 20
STRONGEST = 5  # tokens named with their parts


@dataclass(frozen=True)
class PlainRow:
    """One row in words.

    Attributes:
        loss: nats a token.
        places: where its documents are to be found, and their titles.
        strongest: its tokens with the largest parts of the score, and these.
        pushed_in: texts of tokens, see `gradients.writes`; `pushed_out` likewise.
    """

    rank: int
    row: int
    step: int
    domain: str
    score: float
    loss: float
    places: list[str]
    text: str
    strongest: list[tuple[str, float]]
    pushed_in: list[str]
    pushed_out: list[str]


def plain_rows(shown: Shown, place: int) -> list[PlainRow]:
    """The highest rows of a target."""
    ranking = shown.run.rankings[place]
    ranks = ranking.shown.ranks[shown.numbers]
    return [_row(shown, ranking, int(n)) for n in np.argsort(ranks)[:COUNT]]


def _row(shown: Shown, ranking: Ranking, place: int) -> PlainRow:
    run, number = shown.run, int(shown.numbers[place])
    row = number + run.window.first
    tokens = shown.tokens[place]
    found: dict[str, Any] = {"strongest": [], "pushed_in": [], "pushed_out": []}
    known = np.flatnonzero(ranking.tokens.rows == row)
    if len(known):
        offset = shown.offsets[place]
        parts = ranking.tokens.scores[known[0]][offset : offset + shown.width - 1]
        largest = np.argsort(-np.abs(parts), kind="stable")[:STRONGEST]
        written = ranking.tokens.written[known[0]]
        found = {
            "strongest": [(_text(shown, tokens[n]), float(parts[n])) for n in largest],
            "pushed_in": [_text(shown, token) for token in written[0]],
            "pushed_out": [_text(shown, token) for token in written[1]],
        }
    return PlainRow(
        rank=int(ranking.shown.ranks[number]),
        row=row,
        step=int(run.window.step_of(np.array([number]))[0]),
        domain=run.window.rows.domain_names[run.window.domains()[number]],
        score=float(ranking.scores[number]),
        loss=float(run.losses[number] / run.length),
        places=list(_places(shown, row)),
        text=run.encoder.decode_many([tokens])[0],
        **found,
    )


def _places(shown: Shown, row: int) -> Iterator[str]:
    rows = shown.run.window.rows
    for span in rows.spans(row):
        title = shown.titles.get((rows.sources.index(span.source), span.line))
        yield f"{span.place}: {title}" if title else span.place


def _text(shown: Shown, token: int) -> str:
    return shown.run.encoder.decode_many([np.array([token])])[0]
