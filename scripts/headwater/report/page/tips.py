"""Words on the two tips of a ranking: their domains, and how much their rows repeat."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headwater.report import words
from headwater.report.page.inputs import Ranking
from headwater.report.page.rows import Shown
from headwater.report.visible import plain

NAMED = 3  # domains of a tip
LEAST = 0.02  # of a tip's rows: a rarer domain is none that it is made of
LONG = 16  # tokens of a repeated span


def tips_sentence(lines: Sequence[Mapping[str, Any]]) -> str:
    """Which domains the highest and the lowest 10 % of rows have more of than all.

    Named are those whose interval lies above 1.

    Args:
        lines: of `enrichment.enrichment`.
    """
    top = _domains(lines, [line["top"]["10"] for line in lines])
    bottom = _domains(lines, [line["bottom"] for line in lines])
    return (
        f"Against all rows, where the 95 % interval is above 1: the highest 10 % hold "
        f"{top}; the lowest 10 % hold {bottom}."
    )


def _domains(
    lines: Sequence[Mapping[str, Any]], tips: Sequence[Mapping[str, Any]]
) -> str:
    known = [
        (tip["ratio"], str(line["domain"]))
        for line, tip in zip(lines, tips, strict=True)
        if (tip["low"] or 0) > 1 and tip["share"] >= LEAST
    ]
    most = sorted(known, key=lambda pair: -pair[0])[:NAMED]
    told = [f"{plain(name)} ({words.factor(ratio)})" for ratio, name in most]
    return f"more {words.listed(told)}" if told else "no domain more than all rows do"


def repetition_sentence(shown: Shown, ranking: Ranking) -> str:
    """How much of the score is in rows that hold a long span twice; of rows held."""
    spans, count = shown.repeated, len(shown.numbers)
    row = np.repeat(np.arange(count), np.diff(spans.offsets))
    long = np.bincount(row[spans.end - spans.start >= LONG], minlength=count) > 0
    scores = ranking.scores[shown.numbers].astype(float)
    scores = np.where(np.isfinite(scores), scores, 0)
    return (
        f"Of the {count:,} rows in this page {words.percent(round(long.mean(), 3))} "
        f"repeat {LONG} tokens or more within themselves; they have "
        f"{_share(np.maximum(scores, 0), long)} of the positive and "
        f"{_share(np.maximum(-scores, 0), long)} of the negative sum of the scores of "
        "these rows."
    )


def _share(mass: np.ndarray, chosen: np.ndarray) -> str:
    total = mass.sum()
    return words.percent(round(mass[chosen].sum() / total, 3)) if total else "none"
