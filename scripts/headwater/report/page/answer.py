"""Section `answer`: the sentences of the findings, and what they do not show."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from headwater.corpus.domains import generated, planted
from headwater.evaluation.effects import series
from headwater.evaluation.specificity import FINAL
from headwater.heads.targets import curve_of
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import BASELINE
from headwater.interventions.scores import THROUGH
from headwater.models.sections import unit_of
from headwater.report import findings, sentences, summary, words
from headwater.report.findings import Rise
from headwater.report.page.effects import uncontrolled_texts
from headwater.report.page.inputs import Inputs, Tests

TIP = (
    "The very highest rows can be of other kinds than most of the top 10 %: their "
    "gradients are large because the model still gets much of them wrong. Look at rows "
    "drawn over the whole ranking, too."
)
NO_ARMS = (
    "No rows were removed or inserted in this run to see what the top rows do, so "
    "nothing here says that the rows cause what their scores predict."
)


JUDGED = (
    "These scores are of the baseline on the sequences by which arms are judged, up to "
    "step {last:,}; the census is of those by which heads are chosen, another draw, so "
    "its numbers differ a little at the same step."
)
CHOSEN = "These scores are of the sequences by which heads are chosen, as the census's."


@dataclass(frozen=True)
class Answer:
    """What the section says.

    Attributes:
        lead: about the head.
        notes: on which sequences its score was taken.
        origins: where each target's top rows come from.
        facts: a heading and a value each, for the strip.
        claims: of every arm.
        limits: what is not shown.
    """

    lead: list[str]
    notes: list[str]
    origins: list[str]
    facts: list[tuple[str, str]]
    claims: list[str]
    limits: list[str]


def answer(run: Inputs) -> Answer:
    """The findings as `summary.md` has them."""
    rise = _rise(run)
    lead = [] if rise is None else [sentences.head_sentence(run.main, rise, run.choice)]
    notes = [] if rise is None else [_drawn(run)]
    origins = [
        sentences.origin_sentence(one.name, one.target, one.domains)
        for one in run.rankings
    ]
    if ranked_by := words.ranked_by(run.config):
        lead.append(ranked_by)
    told = []
    limits = _limits(run)
    if run.tests is not None and rise is not None:
        tables = _tables(run, run.tests)
        arms = findings.read_arms(run.tests.summary, run.tests.arms)
        told = list(summary.claim_texts(tables, arms)) if rise.in_window else []
        limits = [
            *summary.limit_texts(tables, rise),
            *uncontrolled_texts(run.tests.verdicts, run.tests.arms),
            *_noise(run, run.tests),
            *_untested(run, run.tests),
            *_ranked(run),
            TIP,
        ]
    return Answer(lead, notes, origins, list(_facts(run)), told, limits)


def _limits(run: Inputs) -> list[str]:
    domains = {one.name: one.domains for one in run.rankings}
    texts = [
        NO_ARMS,
        sentences.planted_sentence(domains, planted(run.config)),
        sentences.hidden_sentence(_hidden(run)),
        _shared(run),
        *_ranked(run),
        TIP,
    ]
    return [text for text in texts if text]


def _noise(run: Inputs, tests: Tests) -> Iterator[str]:
    """How far arms of random rows move the head; nobody can tell less from chance."""
    table = tests.specificity
    own = table[(table["what"] == FINAL) & (table["name"] == run.main.head)]
    for arm, settings in tests.arms.items():
        change = own.loc[own["arm"] == arm, "change"]
        if KINDS[settings["rows"]].role == "chance" and len(change):
            most = change.iloc[int(change.abs().argmax())]
            yield (
                f"Chance is not small: at the window's end {arm} alone moves "
                f"{run.main.head} by {most:+.3f}."
            )


def _untested(run: Inputs, tests: Tests) -> Iterator[str]:
    """That no arm is of a target's rows."""
    own = {arm.get("target") for arm in tests.arms.values()}
    for one in run.rankings:
        if one.name not in own:
            yield (
                f"No arm is of the rows ranked for {one.name} ({one.target.unit}): "
                "what they do is not tested."
            )


def _ranked(run: Inputs) -> Iterator[str]:
    """Which rows are ranked, and at which checkpoint."""
    window = run.choice.window
    yield (
        f"Ranked are the {len(run.window):,} rows of the window; what was trained on "
        f"before step {window.start:,} has no score."
    )
    if len(run.points) == 1 and run.config["influence"]["method"] not in THROUGH:
        yield (
            f"All rows are scored by one model, that of step {run.points[0]:,}, also "
            "those that came later."
        )


def _facts(run: Inputs) -> Iterator[tuple[str, str]]:
    window, main = run.choice.window, run.main
    yield main.word[0].upper() + main.word[1:], main.unit
    yield "Window", f"steps {window.start:,} to {window.end:,}"
    yield "Probe", main.probe.replace("_", " ")
    yield "Rows ranked", f"{len(run.window):,}"
    if run.tests:
        runs = len(run.tests.runs) - 1
        yield "Arms", f"{len(run.tests.arms)} ({runs} runs)"
    yield "Seeds", "1"


def _rise(run: Inputs) -> Rise | None:
    """How the head's score went; None of a unit that no head stands for."""
    main = run.main
    if not main.head:
        return None
    if run.tests is None:
        points = dict(curve_of(run.heads, main.head, main.score))
        return findings.rise_of(pd.Series(points), run.choice, main)
    curve = series(run.tests.runs[BASELINE], main.score, "head", main.head)
    return findings.rise_of(curve, run.choice, main)


def _drawn(run: Inputs) -> str:
    """Of which draw of sequences the score is, and up to which step."""
    if run.tests is None:
        return CHOSEN
    curve = series(run.tests.runs[BASELINE], run.main.score, "head", run.main.head)
    return JUDGED.format(last=int(curve.index.max()))


def _tables(run: Inputs, tests: Tests) -> summary.Tables:
    config = run.config
    return summary.Tables(
        experiment=config["experiment"],
        window_target=config["window"]["target"],
        arms=tests.arms,
        choice=run.choice,
        baseline=tests.runs[BASELINE],
        summary=tests.summary,
        domains={one.name: one.domains for one in run.rankings},
        fidelity=run.fidelity,
        verdicts=tests.verdicts,
        specificity=tests.specificity,
        planted=planted(config),
        ranked_by=words.ranked_by(config),
        shared=_shared(run),
        hidden=_hidden(run),
    )


def _hidden(run: Inputs) -> float:
    return 0.0 if planted(run.config) else sum(generated(run.config).values())


def _shared(run: Inputs) -> str:
    return sentences.sharing_sentence(unit_of(run.main.unit, run.config), run.config)
