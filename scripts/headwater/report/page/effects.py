"""Section `effects`: every claim of the verdict table, and the chips of the answer."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headwater.evaluation.verdicts import FEWEST, TOO_FEW
from headwater.interventions.kinds import KINDS, alike_of, written
from headwater.interventions.runs import BASELINE
from headwater.report import claims, words
from headwater.report.page.values import rounded
from headwater.report.tables import Arms

# Heading, unit, and definition of every metric of the table of verdicts.
METRICS = {
    "area": (
        "Area",
        "% of the baseline's",
        "Area under the head-score curve over the window, above its value at the "
        "start, as a share of the baseline's; arm less control, in points of per cent. "
        "0 = the arm does what its control does.",
    ),
    "half_way": (
        "Half-way",
        "steps",
        "How many steps later the score makes half of the baseline's rise. A run that "
        "never does counts as if it did at the window's end: at least so many.",
    ),
    "probe": (
        "Probe, mean over the window",
        "",
        "Mean of the probe over the window, minus the control's; the probe is what the "
        "scores predict.",
    ),
    "copy_gain": (
        "Copy gain",
        "nats",
        "What the model gains on the second copy of random tokens, mean over the "
        "window.",
    ),
    "natural_copy_gain": (
        "Copy gain on text",
        "nats",
        "What spans of held-out text lose in loss where they are repeated, mean over "
        "the window.",
    ),
    "icl": (
        "In-context learning",
        "nats",
        "Loss of late tokens minus that of early ones, at the window's end; lower = "
        "more is learned from the context.",
    ),
    "copyable_loss": (
        "Loss of copyable tokens",
        "nats",
        "Loss of tokens that could be copied, less the rest's; mean over the window.",
    ),
}
# Other explanations of an effect than the ranking, of which a missing control is named.
CHANCE = "chance"
RIVALS = (CHANCE, "domain", "loss", "repetition", "time")
WRITTEN_RIVALS = (CHANCE, "top", "shuffled", "records")  # of rows written afresh
NO_CONTROL = "no control"
SHORT = {  # of metrics, in chips
    "area": "area",
    "probe": "probe",
    "icl": "in-context learning (lower is more)",
}


def effects(verdicts: pd.DataFrame, arms: Arms) -> dict[str, Any]:
    """One entry a claim, in the table's order; effects in the unit of `METRICS`."""
    known = [name for name in METRICS if (verdicts["metric"] == name).any()]
    rows = []
    for line in verdicts.itertuples():
        scale = claims.METRICS[line.metric][0]
        ends = (rounded(scale * getattr(line, k)) for k in ("effect", "low", "high"))
        rows.append(
            {
                "arm": line.arm,
                "unit": line.unit,
                "metric": line.metric,
                **dict(zip(("effect", "low", "high"), ends, strict=True)),
                "n": int(line.n),
                "control": line.control,
                "predicted": line.predicted,
                "verdict": line.verdict,
            }
        )
    return {
        "columns": [
            {"id": name, "title": title, "unit": unit, "about": about}
            for name, (title, unit, about) in METRICS.items()
            if name in known
        ],
        "rows": rows,
        "missing": [
            {"arm": arm, "control": rival}
            for arm, rivals in uncontrolled(verdicts, arms).items()
            for rival in rivals
        ],
    }


def uncontrolled(verdicts: pd.DataFrame, arms: Arms) -> dict[str, list[str]]:
    """Of every judged arm, the rivals that none of its controls tells it from."""
    found = {}
    for arm, lines in verdicts.groupby("arm", sort=False):
        told = {*alike_of(arms[str(arm)])}
        for name in {*lines["control"]} - {BASELINE}:
            kind = arms[name]["rows"]
            told |= {*alike_of(arms[name]), kind}
            told |= {CHANCE} if KINDS[kind].role == "chance" else set()
        rivals = WRITTEN_RIVALS if written(arms[str(arm)]) else RIVALS
        found[str(arm)] = [rival for rival in rivals if rival not in told]
    return found


def uncontrolled_texts(verdicts: pd.DataFrame, arms: Arms) -> Iterator[str]:
    """A sentence for every judged arm that lacks controls."""
    for arm, rivals in uncontrolled(verdicts, arms).items():
        if rivals:
            like = "such rows" if written(arms[arm]) else "rows like its own in that"
            yield (
                f"{arm} has no control for {words.listed(rivals)}: any {like} might do "
                "the same."
            )


def few_seeds(verdicts: pd.DataFrame) -> str:
    """That there are too few seeds for any verdict; "" if there is one."""
    if not len(verdicts) or {*verdicts["verdict"]} != {TOO_FEW}:
        return ""
    many = int(np.max(verdicts["n"]))
    seeds = "One seed" if many == 1 else f"{many} seeds"
    return f"{seeds}: no verdict before {FEWEST}."


def chips(
    verdicts: pd.DataFrame, arms: Arms, target: str, same_probe: bool = False
) -> list[dict[str, Any]]:
    """A line for each judged arm and control, and one for the controls that it lacks.

    Args:
        target: the window's; of arms ranked for others (not `own`) a control unit is
            meant.
        same_probe: whether the probe is the head's score, and would be told twice.
    """
    found: list[dict[str, Any]] = []
    shown = ("area", "icl" if same_probe else "probe")
    missing = uncontrolled(verdicts, arms)
    for arm, lines in verdicts.groupby("arm", sort=False):
        settings = arms[str(arm)]
        shared = {
            "arm": str(arm),
            "own": settings.get("target", target) == target,
        }
        for control, own in lines.groupby("control", sort=False):
            found.append(
                {
                    **shared,
                    "control": str(control),
                    "question": f"{arm} against {_control(str(control), arms, target)}",
                    "answer": _answer(own, shown),
                    "verdict": _verdict(own),
                }
            )
        if rivals := missing[str(arm)]:
            found.append(
                {
                    **shared,
                    "control": ", ".join(rivals),
                    "question": f"{arm} against {words.listed(rivals)}",
                    "answer": NO_CONTROL,
                    "verdict": NO_CONTROL,
                }
            )
    return found


def _control(control: str, arms: Arms, target: str) -> str:
    if control == BASELINE:
        return f"the {BASELINE}"
    other = arms[control].get("target", target)
    return control + (f" (for {other})" if other != target else "")


def _verdict(lines: pd.DataFrame) -> str:
    """Of the head's score; of the first metric where that was not measured."""
    area = lines[lines["metric"] == "area"]
    return str((area if len(area) else lines)["verdict"].iloc[0])


def _answer(lines: pd.DataFrame, shown: Sequence[str]) -> str:
    """The effects on some metrics, and their verdicts where there are any."""
    by_metric = lines.set_index("metric")
    parts = {}
    for metric in shown:
        if metric in by_metric.index:
            line = by_metric.loc[metric]
            unit = " points" if metric == "area" else ""
            value = claims.amount(line, metric, unit)
            parts[f"{SHORT[metric]} {value}"] = str(line["verdict"])
    if {*parts.values()} == {TOO_FEW}:
        return ", ".join(parts)
    return "; ".join(f"{value}: {verdict}" for value, verdict in parts.items())
