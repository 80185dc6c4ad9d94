"""The summary: what was found, in plain words with numbers, for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from headwater.evaluation.effects import series
from headwater.heads.targets import Choice, Target
from headwater.influence.ranking import TOP_FRACTION
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import BASELINE
from headwater.report import amounts, findings, sentences, words
from headwater.report.findings import Arm, Judgement, Rise
from headwater.report.tables import Arms

WIDTH = 88
LONGEST_NAME = 28
NOTE = (
    "area: under the head-score curve, above its start. half-way: how many steps later "
    "half of the baseline's rise is made. probe: {probe}, which the scores predict; "
    "mean over the window minus the baseline's. ICL: {icl}."
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
        planted: name of the generated domain, if there is one.
        checkpoints: at how many influence was measured.
    """

    experiment: str
    window_target: str
    arms: Arms
    choice: Choice
    baseline: pd.DataFrame
    summary: pd.DataFrame
    domains: Mapping[str, pd.DataFrame]
    fidelity: pd.DataFrame
    planted: str | None
    checkpoints: int

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
    judged = {
        name: findings.judge(arm, arms)
        for name, arm in arms.items()
        if arm.has("judged") and rise.in_window
    }
    effects = (
        _item(sentences.arm_sentences(arms[name], judgement, arms[BASELINE]))
        for name, judgement in judged.items()
    )
    note = NOTE.format(
        probe=words.PROBE_MEANINGS[tables.target.probe],
        icl="at the window's end; lower = learns more"
        if arms[BASELINE].icl.known
        else words.NO_ICL,
    )
    blocks = [
        f"# {tables.experiment}: which training rows build head {tables.target.head}?",
        _wrapped(sentences.head_sentence(tables.target, rise, tables.choice)),
        "\n".join([*_table(arms), *_wrapped(note).splitlines()]),
        "\n".join(effects),
        "\n".join(_origins(tables)),
        "\n".join(_limits(tables, judged, arms)),
        "\n".join(_places(places)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _origins(tables: Tables) -> Iterator[str]:
    top = words.percent(TOP_FRACTION)
    yield f"Where the top {top} of rows come from (in brackets: against all rows)"
    for name, table in tables.domains.items():
        target = tables.choice.targets[name]
        yield _item(sentences.origin_sentence(name, target, table))
    if tables.checkpoints > 1:
        yield _wrapped(words.MEAN_SCORES.format(checkpoints=tables.checkpoints))
    yield _wrapped(sentences.fidelity_sentence(tables.fidelity))


def _limits(
    tables: Tables, judged: Mapping[str, Judgement], arms: Mapping[str, Arm]
) -> Iterator[str]:
    texts = [sentences.planted_sentence(tables.domains, tables.planted)]
    for name, judgement in judged.items():
        arm = arms[name]
        texts += sentences.domain_sentences(arm, judgement, arms, tables.domains)
    clear = [arms[name] for name in judged if judged[name].area in sentences.CLEAR]
    single = dict.fromkeys(KINDS[arm.rows].noun for arm in clear if arm.draws == 1)
    for rows in single:
        texts.append(f"An arm of {rows} is one run: how far chance moves it is open.")
    found = [_item(text) for text in texts if text]
    if found:
        yield "What this does not show"
        yield from found


def _places(places: Mapping[str, str]) -> Iterator[str]:
    width = max(len(path) for path in places)
    for number, (path, what) in enumerate(places.items()):
        yield f"{'' if number else 'Look at':<8} {path:<{width}}  {what}"


def _table(arms: Mapping[str, Arm]) -> Iterator[str]:
    head = "arm", "area", "half-way", "probe", "ICL"
    rows = [head, *map(_cells, arms.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "    " + "  ".join(cells).rstrip()


def _cells(arm: Arm) -> tuple[str, ...]:
    name = textwrap.shorten(arm.name, LONGEST_NAME, placeholder="...")
    return (
        f"{name} ({arm.draws})" if arm.draws > 1 else name,
        amounts.area(arm.area),
        amounts.half_way(arm),
        amounts.change(arm.probe),
        amounts.between(arm.icl),
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _item(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ")
