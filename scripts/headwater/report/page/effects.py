"""Section `effects`: every claim of the verdict table, and the chips of the answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from headwater.evaluation.verdicts import FEWEST, TOO_FEW
from headwater.interventions.kinds import KINDS, alike_of
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
        "start, divided by the baseline's: 100 % = no effect, 0 % = no rise.",
    ),
    "half_way": (
        "Half-way",
        "steps",
        "How many steps later the score makes half of the baseline's rise. A run that "
        "never does counts as if it did at the window's end: at least so many.",
    ),
    "probe": (
        "Probe",
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
CONTROLS = ("random", "matched", "loss")  # kinds of which a missing one is named
NO_CONTROL = "no control"


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
            {"arm": arm, "control": kind} for arm, kind in _missing(verdicts, arms)
        ],
    }


def _missing(verdicts: pd.DataFrame, arms: Arms) -> Iterator[tuple[str, str]]:
    """Of every judged arm, the kinds of controls that it has none of."""
    for arm in verdicts["arm"].unique():
        own = verdicts.loc[verdicts["arm"] == arm, "control"]
        kinds = {arms[name]["rows"] for name in own if name != BASELINE}
        yield from ((str(arm), kind) for kind in CONTROLS if kind not in kinds)


def chips(verdicts: pd.DataFrame, arms: Arms, target: str) -> list[dict[str, Any]]:
    """A question for each judged arm and control, answered by the verdicts alone.

    Args:
        target: the window's; of arms ranked for others (not `own`) a control unit is
            meant.
    """
    found: list[dict[str, Any]] = []
    for arm, lines in verdicts.groupby("arm", sort=False):
        settings = arms[str(arm)]
        subject = words.arm_subject(str(arm), settings, target)
        for control, own in lines.groupby("control", sort=False):
            asked = _asked(str(control), arms, target)
            found.append(
                {
                    "arm": str(arm),
                    "own": settings.get("target", target) == target,
                    "control": str(control),
                    "question": f"{subject}: {asked}",
                    "answer": _answer(own),
                    "verdict": _verdict(own),
                }
            )
        found += [
            {
                "arm": str(arm),
                "own": settings.get("target", target) == target,
                "control": kind,
                "question": f"{subject}: more than {_kind(kind)}",
                "answer": NO_CONTROL,
                "verdict": NO_CONTROL,
            }
            for name, kind in _missing(lines, arms)
        ]
    return found


def _asked(control: str, arms: Arms, target: str) -> str:
    if control == BASELINE:
        return "an effect in the predicted direction"
    settings = arms[control]
    noun = KINDS[settings["rows"]].noun.format(
        domain="rows of the top domain", alike=words.alike(alike_of(settings))
    )
    other = settings.get("target", target)
    of = f" for {other}" if other != target else ""
    return f"more than {noun}{of} ({control})"


def _kind(kind: str) -> str:
    return KINDS[kind].noun.format(alike="domains", domain="rows of the top domain")


def _verdict(lines: pd.DataFrame) -> str:
    """Of the head's score; of the first metric where that was not measured."""
    area = lines[lines["metric"] == "area"]
    return str((area if len(area) else lines)["verdict"].iloc[0])


def _answer(lines: pd.DataFrame) -> str:
    """The effects on head and probe and their verdicts; said once where all agree."""
    by_metric = lines.set_index("metric")
    parts = {}
    for metric in ("area", "probe"):
        if metric in by_metric.index:
            line = by_metric.loc[metric]
            unit = " points" if metric == "area" else ""
            value = claims.amount(line, metric, unit)
            parts[f"{METRICS[metric][0].lower()} {value}"] = str(line["verdict"])
    if {*parts.values()} == {TOO_FEW}:
        many = int(np.max(lines["n"]))
        return f"{', '.join(parts)}: {TOO_FEW} ({many} of at least {FEWEST})"
    return "; ".join(f"{value}: {verdict}" for value, verdict in parts.items())
