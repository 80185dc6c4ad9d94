"""Verdicts in words and as a table: what `verdicts.tsv` says, and nothing stronger."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from headwater.evaluation.specificity import FINAL, HIGHEST
from headwater.evaluation.verdicts import FAILS, FEWEST, HOLDS, TOO_FEW
from headwater.interventions.arms import ACTIONS, rows_label
from headwater.interventions.kinds import alike_of
from headwater.interventions.runs import BASELINE
from headwater.report import words
from headwater.report.amounts import number
from headwater.report.tables import Arms

# By metric: what to multiply with, how to print it, and the heading of its column.
METRICS = {
    "area": (100, "+z.0f", "area"),
    "half_way": (1, "+z.0f", "half-way"),
    "probe": (1, "+z.2f", "probe"),
    "copy_gain": (1, "+z.2f", "copy gain"),
    "natural_copy_gain": (1, "+z.2f", "natural"),
    "icl": (1, "+z.3f", "ICL"),
    "copyable_loss": (1, "+z.3f", "copyable"),
}
WIDTH = 88
UNCHANGED = 0.01  # a smaller change of a head's score is none worth a sentence
MARKS = {HOLDS: "*", FAILS: "", TOO_FEW: "?"}
KEY = "* holds; ? not enough seeds; no mark: does not hold."
NOTES = {
    "natural_copy_gain": "natural: copy gain on repeated spans of held-out text.",
    "copyable_loss": "copyable: loss of tokens that could be copied, less the rest's.",
}


def doing(settings: Mapping[str, Any]) -> str:
    """An arm as the beginning of a sentence, by its entry in the config."""
    rows = rows_label(settings).format(
        share=words.percent(settings["fraction"]),
        domain="rows of the top domain",
        alike=words.alike(alike_of(settings)),
    )
    text = ACTIONS[settings["action"]].doing.format(rows=rows)
    text += words.by_score(settings) + words.origin(settings)
    return text[0].upper() + text[1:]


def amount(line: pd.Series, metric: str, unit: str = "") -> str:
    """An effect and, where several members give one, its interval."""
    scale, form, *_ = METRICS[metric]
    effect, low, high = (
        format(scale * line[name], form) for name in ("effect", "low", "high")
    )
    return f"{effect}{unit}" + (f" [{low}, {high}]" if np.isfinite(line["low"]) else "")


def claim_sentences(
    verdicts: pd.DataFrame,
    arms: Arms,
    target: str,
    overlap: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """What is claimed of the head's area, arm by arm: every control and its verdict.

    Args:
        target: the window's; an arm ranked for another has a control unit.
        overlap: share of an arm's rows that are the judged arm's, where it is known.
    """
    areas = verdicts[verdicts["metric"] == "area"]
    told = {}
    for arm, lines in areas.groupby("arm", sort=False):
        settings = arms[str(arm)]
        begins, of = doing(settings), ""
        if (own := settings.get("target", target)) != target:
            begins += f" for {own}"
            of = f" of {lines['unit'].iloc[0]}, a control unit,"
        told[str(arm)] = f"{begins}: {_told(lines, overlap or {}, of)}"
    return told


def _told(lines: pd.DataFrame, overlap: Mapping[str, float], of: str) -> str:
    same = lines["verdict"].nunique() == 1
    parts = [
        f"{amount(line, 'area', '' if number else ' points')} against "
        f"{_control(line, overlap)}{'' if same else f': {line.verdict}'}"
        for number, (_, line) in enumerate(lines.iterrows())
    ]
    text = f"area{of} {'; '.join(parts)}."
    if same:
        many = f" ({lines['n'].max()} of at least {FEWEST})"
        verdict = str(lines["verdict"].iloc[0])
        text += f" {verdict.capitalize()}{many if verdict == TOO_FEW else ''}."
    return " ".join([text, *_explained(lines)])


def _control(line: pd.Series, overlap: Mapping[str, float]) -> str:
    name = str(line["control"])
    share = overlap.get(name, np.nan)
    shared = f" ({words.percent(share)} of them the same rows)" if share > 0 else ""
    return f"{'the ' * (name == BASELINE)}{name}{shared}"


def _explained(lines: pd.DataFrame) -> Iterator[str]:
    """What follows where a claim does not hold, as loudly as where one does."""
    if set(lines["control"]) == {BASELINE}:
        yield "Without a control of the same action and size no advantage can be shown."
    if (lines["directional_effectiveness"] == FAILS).all():
        yield "No effect in the predicted direction is shown."
        return
    whole = lines.set_index("control")["effect"].get(BASELINE, np.nan)
    for _, line in lines[lines["selection_advantage"] == FAILS].iterrows():
        reached = 100 * (1 - line["effect"] / whole)
        yield (
            f"{line['control']} alone reaches {reached:z.0f} % of the effect: nothing "
            "beyond such rows is shown."
        )


def verdict_table(verdicts: pd.DataFrame) -> Iterator[str]:
    """All metrics: a line for each arm and control, and a note; none without claims."""
    measured = [name for name in METRICS if (verdicts["metric"] == name).any()]
    rows = [("arm - control", *(METRICS[name][2] for name in measured))]
    for (arm, control), lines in verdicts.groupby(["arm", "control"], sort=False):
        by_metric = lines.set_index("metric")
        rows.append((f"{arm} - {control}", *(_cell(by_metric, m) for m in measured)))
    if measured:
        yield from table_lines(rows)
        mean = f"Arm minus control, mean of {verdicts['n'].max()}; area in points."
        notes = (NOTES[name] for name in measured if name in NOTES)
        yield from textwrap.wrap(" ".join([mean, KEY, *notes]), WIDTH)


def _cell(by_metric: pd.DataFrame, metric: str) -> str:
    if metric not in by_metric.index:
        return ""
    line = by_metric.loc[metric]
    scale, form, *_ = METRICS[metric]
    return f"{format(scale * line['effect'], form)}{MARKS[str(line['verdict'])]}"


def table_lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows of cells as indented lines, columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "    " + "  ".join(cells).rstrip()


def specificity_sentence(table: pd.DataFrame, arm: str, head: str) -> str:
    """What an arm does to the head and to the one it changes most besides.

    Args:
        table: `evaluation/specificity.tsv`.
        head: the target's.
    """
    own = table[(table["arm"] == arm) & (table["kind"] == "head")]
    numbers = ["baseline", "value", "change"]
    finals = own[own["what"] == FINAL].groupby("name", sort=False)[numbers].mean()
    if head not in finals.index:
        return ""
    score = number(finals.loc[head, "value"])
    text = (
        f"At the window's end {head} has {score} (baseline "
        f"{number(finals.loc[head, 'baseline'])})"
    )
    others = finals.drop(index=head)
    most = str(others["change"].abs().idxmax()) if len(others) else ""
    if most and abs(others.loc[most, "change"]) < UNCHANGED:
        text += f"; no other head changes by as much as {UNCHANGED}"
    elif most:
        line = others.loc[most]
        before, after = number(line["baseline"]), number(line["value"])
        text += f"; of the other heads {most} changes most, from {before} to {after}"
    taken = sorted({*own.loc[own["what"] == HIGHEST, "name"]} - {head})
    if taken:
        verb = "have" if len(taken) > 1 else "has"
        text += f". {words.listed(taken)} {verb} more than {head} there"
    return f"{text}."
