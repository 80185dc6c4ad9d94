"""The page and the folder of its numbers, of a run's results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headwater.catalysts.documents import SAMPLES
from headwater.corpus.detectors import SUFFIX
from headwater.report import sentences
from headwater.report.page.answer import answer
from headwater.report.page.catalysts import catalysts
from headwater.report.page.causal import DIVISORS, match_table, same_probe
from headwater.report.page.census import heads_of, metrics_of
from headwater.report.page.chunks import MOST, Chunks, chunks
from headwater.report.page.document import Document, document
from headwater.report.page.effects import few_seeds
from headwater.report.page.inputs import Inputs
from headwater.report.page.render import render
from headwater.report.page.rows import Shown
from headwater.report.page.static_rows import plain_rows
from headwater.report.page.tips import repetition_sentence, tips_sentence
from headwater.report.page.values import rounded, script_json
from headwater.report.tables import published_table

SECTIONS = {
    "answer": "Answer",
    "census": "Census",
    "causal": "Causal test",
    "effects": "Effects",
    "specificity": "Specificity",
    "scores": "Scores",
    "domains": "Domains",
    "catalysts": "Catalysts",
    "fidelity": "Fidelity",
    "rows": "Rows",
    "units": "Two units",
    "run": "Run",
}
TESTED = ("causal", "effects", "specificity")  # sections of runs with arms
EXTRA = {
    "lds": "How well scores predict runs without random rows (LDS)",
    "examination": "How well rankings find rows whose truth is known",
    "variants": "Scores of other choices beside these",
    "linearity": "How far sums of metagradients reach: a random tenth of the rows at "
    "other weights",
}


@dataclass(frozen=True)
class Page:
    """A page, and what it is made of."""

    html: str
    document: Document
    shown: Shown
    chunks: Chunks


def build(run: Inputs, most: int = MOST) -> Page:
    """The page of one run.

    Args:
        most: bytes of data in the page itself; what is more stands beside it.
    """
    shown = Shown.of(run)
    found = document(run, shown)
    parts = chunks(found.columns, script_json(found.report), most)
    return Page(_html(run, shown, found, parts), found, shown, parts)


def sections_of(run: Inputs) -> list[tuple[str, str]]:
    """The sections that a run has, and their titles."""
    missing = {*(() if run.tests else TESTED)}
    if len(run.rankings) < 2:
        missing.add("units")
    if not run.catalysts:
        missing.add("catalysts")
    return [(name, title) for name, title in SECTIONS.items() if name not in missing]


def _html(run: Inputs, shown: Shown, found: Document, parts: Chunks) -> str:
    report = found.report
    return render(
        "report.html",
        report,
        parts,
        sections=sections_of(run),
        answer=answer(run),
        verdicts_file="data/verdicts.tsv",
        census=list(_census(run, report)),
        ends=list(_ends(report)),
        specificity=list(_specificity(report)),
        target_of={one["name"]: n for n, one in enumerate(report["targets"])},
        samples=SAMPLES,
        detected=any(n.endswith(SUFFIX) for n in run.window.rows.domain_names),
        fidelity=sentences.fidelity_sentence(run.fidelity),
        extra=[(EXTRA[n], table) for n, table in run.tables.items() if n in EXTRA],
        match=match_table(run.tables["match"]) if "match" in run.tables else [],
        same_probe=same_probe(run),
        divisor=DIVISORS[run.config["retraining"]["divisor"]],
        few=few_seeds(run.tests.verdicts) if run.tests else "",
        tips=[tips_sentence(lines) for lines in report["enrichment"]],
        repetition=[repetition_sentence(shown, one) for one in run.rankings],
        catalysts=[catalysts(run.catalysts, one.name) for one in run.rankings],
        plain_rows=[plain_rows(shown, n) for n in range(len(run.rankings))],
        run=found.run,
        published=_published(run),
    )


def _census(run: Inputs, report: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Of every head its scores at the last checkpoint, and when each began to rise."""
    last = run.heads[run.heads["step"] == run.heads["step"].max()].set_index("head")
    births = report["census"]["births"]
    for head in heads_of(run):
        yield (
            head,
            [
                (rounded(last.at[head, name]), births[name].get(head))
                for name in metrics_of(run)
            ],
        )


def _ends(report: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Of every arm the mean of its curves' last values."""
    if report["curves"] is None:
        return
    for place, arm in enumerate(report["arms"]):
        runs = [run for run in report["curves"]["runs"] if run["arm"] == place]
        names = [metric["id"] for metric in report["curves"]["metrics"]]
        values = [pd.Series([run["values"][n][-1] for run in runs]) for n in names]
        yield arm, [rounded(one.astype(float).mean(skipna=False)) for one in values]


def _specificity(report: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    found = report["specificity"]
    if found is not None:
        yield "Score of every head", found["heads"], found["change"], found["random"]
        losses = found["loss_change"], found["loss_random"]
        yield "Loss by domain, nats a token", found["domains"], *losses


def _published(run: Inputs) -> pd.DataFrame:
    for _, table in published_table(run.published).values():
        return table
    return pd.DataFrame()
