"""The folder beside the page: its numbers as tables, and its rows as JSON lines."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from headwater.publish import publish_folder
from headwater.report.page.build import Page
from headwater.report.page.inputs import Inputs
from headwater.tables import table_text

ROWS, CONFIG = "rows.jsonl", "config.yaml"


def write_data(folder: Path, run: Inputs, page: Page) -> None:
    """Publish the folder.

    rows.jsonl   the rows in the page: row, step, domain, documents, loss (nats a
                 token), score and rank by target, input_ids, text
    config.yaml  the config as run
    scores.tsv   every row of the window; and the other tables of the page
    tokens.js    and others, of a page that is too large: see `chunks`
    """
    with publish_folder(folder, {"stage": "report"}) as part:
        for old in part.iterdir():  # of a run that was killed
            old.unlink()
        for name, table in _tables(run, page):
            (part / f"{name}.tsv").write_text(table_text(table), encoding="utf-8")
        (part / CONFIG).write_text(page.document.run["config"], encoding="utf-8")
        for name, text in page.chunks.files().items():
            (part / name).write_text(text, encoding="ascii")
        with (part / ROWS).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in _rows(run, page))


def _tables(run: Inputs, page: Page) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "scores", _scores(run)
    yield "domains", _domains(page)
    yield "heads", run.heads
    yield "fidelity", run.fidelity
    yield "fidelity-rows", run.sample
    yield from run.tables.items()
    if run.tests is not None:
        yield "verdicts", run.tests.verdicts
        yield "effects", run.tests.effects
        yield "specificity", run.tests.specificity
        curves = run.tests.runs.items()
        yield "curves", pd.concat(table.assign(run=name) for name, table in curves)


def _scores(run: Inputs) -> pd.DataFrame:
    numbers = np.arange(len(run.window))
    names = np.array(run.window.rows.domain_names, object)
    table = pd.DataFrame(
        {
            "row": numbers + run.window.first,
            "step": run.window.step_of(numbers),
            "domain": names[run.window.domains()],
            "loss": run.losses / run.length,
        }
    )
    for ranking in run.rankings:
        table[f"score_{ranking.name}"] = ranking.scores
        table[f"rank_{ranking.name}"] = ranking.shown.ranks
    return table


def _domains(page: Page) -> pd.DataFrame:
    report = page.document.report
    lines = [
        {"target": target["name"], "domain": line["domain"], "rows": line["rows"]}
        | {"part": part, "share_of_rows": line["share"], **values}
        for target, lines in zip(report["targets"], report["enrichment"], strict=True)
        for line in lines
        for part, values in {**line["top"], "bottom": line["bottom"]}.items()
    ]
    return pd.DataFrame(lines)


def _rows(run: Inputs, page: Page) -> Iterator[dict[str, object]]:
    shown = page.shown
    names = run.window.rows.domain_names
    spans, begins = shown.documents
    documents = page.document.report["documents"]
    index = shown.document_index
    for place, number in enumerate(shown.numbers.tolist()):
        own = slice(begins[place], begins[place + 1])
        yield {
            "row": number + run.window.first,
            "step": int(run.window.step_of(np.array([number]))[0]),
            "domain": names[run.window.domains()[number]],
            "documents": [
                documents[i] | dict(zip(("start", "stop", "token"), span, strict=True))
                for i, span in zip(index[own], spans[own, 2:5].tolist(), strict=True)
            ],
            "loss": float(run.losses[number]) / run.length,
            "score": {one.name: float(one.scores[number]) for one in run.rankings},
            "rank": {one.name: int(one.shown.ranks[number]) for one in run.rankings},
            "input_ids": shown.tokens[place].tolist(),
            "text": shown.texts[place],
        }
