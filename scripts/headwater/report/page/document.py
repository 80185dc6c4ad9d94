"""All numbers of the page as one document, and the columns of its rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.corpus.domains import planted
from headwater.report import words
from headwater.report.page.causal import arm_list, curves, same_probe
from headwater.report.page.census import census, census_column
from headwater.report.page.effects import chips, effects
from headwater.report.page.enrichment import documents_of, enrichment
from headwater.report.page.fidelity import fidelity
from headwater.report.page.inputs import Inputs
from headwater.report.page.pairs import pairs
from headwater.report.page.rows import LONGEST, Shown, document_list, row_columns
from headwater.report.page.run import run_facts
from headwater.report.page.scores import scores
from headwater.report.page.specificity import specificity
from headwater.report.page.values import Column
from headwater.report.page.vocabulary import texts

VERSION = 1


@dataclass(frozen=True)
class Document:
    """What the page holds for its script, and for its text.

    Attributes:
        report: all numbers but those of the rows; see docs/report.md.
        columns: of the rows, and of the census.
        run: facts of the run, for the text alone.
    """

    report: dict[str, Any]
    columns: list[Column]
    run: dict[str, Any]


def document(run: Inputs, shown: Shown) -> Document:
    """Everything that the page tells.

    Args:
        shown: the rows in it.
    """
    window, tests = run.choice.window, run.tests
    documents = documents_of(run)
    report: dict[str, Any] = {
        "version": VERSION,
        "experiment": run.config["experiment"],
        "question": f"Which training rows build {run.main.name}?",
        "main": run.place,
        "window": {"start": window.start, "end": window.end, "points": run.points},
        "rows": _rows(run, shown),
        "targets": [_target(run, place) for place in range(len(run.rankings))],
        "domains": [
            {"name": name, "planted": name == planted(run.config)}
            for name in run.window.rows.domain_names
        ],
        "documents": document_list(shown),
        "vocabulary": texts(run.encoder, _used(run, shown)),
        "special": run.encoder.special_ids,
        "arms": arm_list(run),
        "census": census(run),
        "curves": curves(run, tests) if tests else None,
        "effects": effects(tests.verdicts, tests.arms) if tests else None,
        "chips": _chips(run),
        "specificity": specificity(run, tests) if tests else None,
        "scores": [scores(run, ranking) for ranking in run.rankings],
        "enrichment": [enrichment(run, one, documents) for one in run.rankings],
        "fidelity": [fidelity(run, ranking) for ranking in run.rankings],
        "pairs": pairs(run),
        "study": None,
    }
    columns = [census_column(run), *row_columns(shown)]
    return Document(report, columns, run_facts(run))


def _chips(run: Inputs) -> list[dict[str, str]]:
    if run.tests is None:
        return []
    target = run.config["window"]["target"]
    return chips(run.tests.verdicts, run.tests.arms, target, same_probe(run))


def _target(run: Inputs, place: int) -> dict[str, Any]:
    ranking = run.rankings[place]
    target = ranking.target
    return {
        "name": ranking.name,
        "unit": target.unit,
        "head": target.head,
        "about": words.about(target),
        "score": target.score,
        "probe": target.probe,
        "shown": f"{ranking.name} ({target.unit})",
        "parts": len(ranking.tokens.rows),
    }


def _used(run: Inputs, shown: Shown) -> np.ndarray:
    """The tokens that the page names."""
    written = [np.unique(shown.written(ranking)) for ranking in run.rankings]
    return np.unique(np.concatenate([np.unique(shown.tokens), *written]))


def _rows(run: Inputs, shown: Shown) -> dict[str, Any]:
    total, count = len(run.window), len(shown.numbers)
    return {
        "window": total,
        "shown": count,
        "sentence": rows_sentence(run, count),
        "length": run.length,
        "held": shown.width - 1,
    }


def rows_sentence(run: Inputs, count: int) -> str:
    """How many rows of how many the page holds, and what it leaves out."""
    total = len(run.window)
    if count == total:
        text = f"The page holds every row of the window: {total:,}."
    else:
        wanted = run.config["report"]["rows"]
        many = "a target's" if len(run.rankings) == 1 else "every target's"
        text = (
            f"The page holds {count:,} of the window's {total:,} rows: {many} "
            f"{wanted:,} highest and {wanted:,} lowest, and some drawn evenly over its "
            f"ranking. It leaves out the other {total - count:,}; `report: {{rows: "
            "all}` holds every one. Histograms, shares and correlations are of all "
            "rows."
        )
    if run.length > shown_length(run):
        text += (
            f" Of a row's {run.length:,} tokens it holds the {shown_length(run)} "
            "around the largest parts of its score."
        )
    return text


def shown_length(run: Inputs) -> int:
    """Tokens of a row in the page, whose next one is predicted."""
    return min(run.length, LONGEST)
