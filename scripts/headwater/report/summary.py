"""The summary: what was found, in plain words with numbers, for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from headwater.evaluation.effects import series
from headwater.evaluation.verdicts import FEWEST
from headwater.heads.targets import Choice, Target
from headwater.influence.ranking import TOP_FRACTION
from headwater.interventions.runs import BASELINE
from headwater.report import amounts, claims, findings, sentences, words
from headwater.report.findings import Arm, Rise
from headwater.report.tables import Arms

WIDTH = 88
LONGEST_NAME = 28
NOTE = (
    "area: under the head-score curve, above its start. half-way: how many steps later "
    "half of the baseline's rise is made. probe: {probe}, which the scores predict; "
    "mean over the window minus the baseline's. ICL: {icl}.{copying}"
)
ONE_RUN = (
    "These are the numbers of one run, and chance of seed and order is in them: no "
    f"verdict before {FEWEST} seeds (section study of the config)."
)
COPYING = (
    " copying: nats that spans of held-out text lose where they are repeated; mean "
    "over the window minus the baseline's."
)


@dataclass(frozen=True)
class Tables:
    """All that the summary is made of.

    Attributes:
        window_target: the target whose head the arms are measured on.
        baseline: long table of the baseline's metrics.
        summary: `evaluation/summary.tsv`.
        domains: domain table of every target.
        fidelity: `influence/fidelity.tsv`.
        verdicts: `report/verdicts.tsv`.
        specificity: `evaluation/specificity.tsv`.
        planted: name of the generated domain, if there is one.
        hidden: share of the training rows that are generated under natural names.
        ranked_by: see `words.ranked_by`.
        shared: see `sentences.sharing_sentence`.
    """

    experiment: str
    window_target: str
    arms: Arms
    choice: Choice
    baseline: pd.DataFrame
    summary: pd.DataFrame
    domains: Mapping[str, pd.DataFrame]
    fidelity: pd.DataFrame
    verdicts: pd.DataFrame
    specificity: pd.DataFrame
    planted: str | None
    ranked_by: str = ""
    hidden: float = 0.0
    shared: str = ""

    @property
    def target(self) -> Target:
        """The target whose head the arms are measured on."""
        return self.choice.targets[self.window_target]

    def rise(self) -> Rise:
        """How the baseline's head score went."""
        curve = series(self.baseline, self.target.score, "head", self.target.head)
        return findings.rise_of(curve, self.choice, self.target)


def summary_text(tables: Tables, places: Mapping[str, str]) -> str:
    """The summary, lines of at most 88 characters.

    Args:
        places: path to what is there, for "where to look".
    """
    arms, rise = findings.read_arms(tables.summary, tables.arms), tables.rise()
    note = NOTE.format(
        probe=words.PROBE_MEANINGS[tables.target.probe],
        icl="at the window's end; lower = learns more"
        if arms[BASELINE].icl.known
        else words.NO_ICL,
        copying=COPYING if arms[BASELINE].copying.known else "",
    )
    blocks = [
        f"# {tables.experiment}: which training rows build {tables.target.name}?",
        _wrapped(sentences.head_sentence(tables.target, rise, tables.choice)),
        "\n".join([*_table(arms), *_wrapped(note).splitlines()]),
        "\n".join(_claims(tables, arms) if rise.in_window else ()),
        "\n".join(_origins(tables)),
        "\n".join(_limits(tables, rise)),
        "\n".join(_places(places)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def origin_texts(tables: Tables) -> Iterator[str]:
    """Where each target's top rows come from."""
    for name, table in tables.domains.items():
        yield sentences.origin_sentence(name, tables.choice.targets[name], table)


def claim_texts(tables: Tables, arms: Mapping[str, Arm]) -> Iterator[str]:
    """What is claimed of every arm, and what it does besides."""
    overlap = {name: arm.overlap for name, arm in arms.items()}
    told = claims.claim_sentences(
        tables.verdicts, tables.arms, tables.window_target, overlap
    )
    for name, text in told.items():
        beside = claims.specificity_sentence(
            tables.specificity, name, tables.target.head
        )
        never = sentences.onset_sentence(arms[name])
        yield " ".join(part for part in (text, never, beside) if part)


def limit_texts(tables: Tables, rise: Rise) -> list[str]:
    """What is not shown."""
    texts = [
        sentences.planted_sentence(tables.domains, tables.planted),
        sentences.hidden_sentence(tables.hidden),
        tables.shared,
    ]
    if rise.in_window:
        texts.append(ONE_RUN)
    return [text for text in texts if text]


def _origins(tables: Tables) -> Iterator[str]:
    top = words.percent(TOP_FRACTION)
    yield f"Where the top {top} of rows come from (in brackets: against all rows)"
    yield from map(_item, origin_texts(tables))
    if tables.ranked_by:
        yield _wrapped(tables.ranked_by)
    yield _wrapped(sentences.fidelity_sentence(tables.fidelity))


def _claims(tables: Tables, arms: Mapping[str, Arm]) -> Iterator[str]:
    yield from map(_item, claim_texts(tables, arms))


def _limits(tables: Tables, rise: Rise) -> Iterator[str]:
    found = limit_texts(tables, rise)
    if found:
        yield "What this does not show"
        yield from map(_item, found)


def _places(places: Mapping[str, str]) -> Iterator[str]:
    width = max(len(path) for path in places)
    for number, (path, what) in enumerate(places.items()):
        yield f"{'' if number else 'Look at':<8} {path:<{width}}  {what}"


def _table(arms: Mapping[str, Arm]) -> Iterator[str]:
    head: tuple[str, ...] = "arm", "area", "half-way", "probe", "ICL", "copying"
    if not any(arm.copying.known for arm in arms.values()):
        head = head[:-1]
    yield from claims.table_lines(
        [head, *(_cells(arm)[: len(head)] for arm in arms.values())]
    )


def _cells(arm: Arm) -> tuple[str, ...]:
    name = textwrap.shorten(arm.name, LONGEST_NAME, placeholder="...")
    return (
        f"{name} ({arm.draws})" if arm.draws > 1 else name,
        amounts.area(arm.area),
        amounts.half_way(arm),
        amounts.change(arm.probe),
        amounts.between(arm.icl),
        amounts.change(arm.copying),
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _item(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ")
