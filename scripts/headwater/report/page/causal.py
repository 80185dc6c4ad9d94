"""Section `causal`: the curves of all runs over the window, and how arms are drawn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headwater.corpus.domains import NATURAL
from headwater.evaluation.effects import series
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import BASELINE, runs_of
from headwater.report import words
from headwater.report.lines import BASELINE_LINE, CurveStyle, arm_lines
from headwater.report.page.inputs import Inputs, Tests
from headwater.report.page.values import each, rounded
from headwater.report.tables import Arms

BASELINE_DARK = "#ffffff"


@dataclass(frozen=True)
class Metric:
    """One panel of curves.

    Attributes:
        key: metric, kind and name in the tables of runs.
        lower: whether lower is better.
    """

    id: str
    title: str
    unit: str
    key: tuple[str, str, str]
    lower: bool = False


def metrics(run: Inputs) -> list[Metric]:
    """The panels, as far as they were measured: head, probe, context, loss, copying."""
    main, name = run.main, run.config["window"]["target"]
    head = main.series_in(name)
    named = words.SCORE_NAMES.get(head[0], "value of the probe")
    found = [
        Metric("head", f"{named} of {main.head or main.unit}", "score", head),
        Metric(
            "probe",
            f"probe: {main.probe.replace('_', ' ')}",
            "",
            ("probe", "target", name),
        ),
        Metric(
            *("icl", "in-context learning", "nats", ("icl", "group", NATURAL)),
            lower=True,
        ),
        Metric(
            *("loss", "loss of held-out natural text", "nats a token"),
            ("loss", "group", NATURAL),
            lower=True,
        ),
        Metric(
            *("natural_copy_gain", "gain on repeated spans of held-out text", "nats"),
            ("natural_copy_gain", "group", NATURAL),
        ),
    ]
    if run.tests is None:
        return found
    baseline = run.tests.runs[BASELINE]
    same = same_probe(run)
    return [
        one
        for one in found
        if len(series(baseline, *one.key)) and not (same and one.id == "probe")
    ]


# How a step's loss is summed where rows are missing (retraining.divisor).
DIVISORS = {
    "fixed": "A removed row leaves a gap: the loss of its step is still divided by the "
    "full number of rows.",
    "kept": "Where rows are removed, the loss of a step is divided by the number left.",
}


def same_probe(run: Inputs) -> bool:
    """Whether the probe's curve is the head's score itself, and tells nothing more."""
    if run.tests is None:
        return False
    name, baseline = run.config["window"]["target"], run.tests.runs[BASELINE]
    head = series(baseline, *run.main.series_in(name))
    probe = series(baseline, "probe", "target", name)
    return head.index.equals(probe.index) and bool(np.allclose(head, probe))


def match_table(table: pd.DataFrame) -> list[dict[str, Any]]:
    """How like the controls' rows are to the top ones, of `interventions/match.tsv`."""
    return [
        {
            "arm": str(line["arm"]),
            "draw": int(line["draw"]),
            "fact": str(line["fact"]),
            "arm_mean": rounded(line["arm_mean"]),
            "top_mean": rounded(line["top_mean"]),
            "distance": rounded(line["distance"]),
            "missed": rounded(line["missed"]),
            "overlap": rounded(line["overlap"]),
        }
        for _, line in table.iterrows()
    ]


def arm_list(run: Inputs) -> list[dict[str, Any]]:
    """The baseline and every arm: in words, and how it is drawn."""
    tests = run.tests
    if tests is None:
        return []
    domains = {ranking.name: ranking.domains for ranking in run.rankings}
    labels = words.arm_labels(tests.arms, domains, run.config["window"]["target"])
    changed = tests.effects.groupby("arm")["rows_changed"].max()
    return drawn_arms(tests.arms, labels, changed.astype(int).to_dict())


def drawn_arms(
    arms: Arms, labels: Mapping[str, str], changed: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The baseline and arms.

    Args:
        labels: every arm in words.
        changed: rows that it changes, where that is known.
    """
    base = _drawn(BASELINE, "baseline: nothing changed", BASELINE_LINE)
    base |= {"colour_dark": BASELINE_DARK, "action": "none", "rows": "none"}
    found = [{**base, "changed": 0, "draws": 1, "control": False}]
    for name, line in arm_lines(arms).items():
        arm = arms[name]
        found.append(
            {
                **_drawn(name, labels[name], line),
                "action": arm["action"],
                "rows": arm["rows"],
                "changed": changed.get(name),
                "draws": arm["draws"],
                "control": KINDS[arm["rows"]].role != "judged",
            }
        )
    return found


def _drawn(name: str, label: str, line: CurveStyle) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "colour": line.colour,
        "colour_dark": lighter(line.colour),
        "width": line.width,
        "dash": _dash(line),
        "marker": line.marker,
    }


def _dash(line: CurveStyle) -> str:
    """Dashes and gaps in points, as SVG has them; "" for a solid line."""
    if not isinstance(line.dashes, tuple):
        return ""
    return " ".join(f"{line.width * length:g}" for length in line.dashes[1])


def lighter(colour: str) -> str:
    """A colour for a dark page: as it is, or mixed with white until it can be seen."""
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    weights = (0.299, 0.587, 0.114)
    light = sum(w * p for w, p in zip(weights, parts, strict=True))
    if light < 130:
        share = (130 - light) / (255 - light)
        parts = [round(p + share * (255 - p)) for p in parts]
    return "#" + "".join(f"{part:02x}" for part in parts)


def curves(run: Inputs, tests: Tests) -> dict[str, Any]:
    """Every run's curves over the window, and the baseline's over its whole length."""
    shown = metrics(run)
    names = [BASELINE, *tests.arms]
    return {
        "metrics": [
            {
                "id": one.id,
                "title": one.title,
                "unit": one.unit,
                "lower_is_better": one.lower,
            }
            for one in shown
        ],
        "runs": [
            {"arm": place, "draw": draw, **_values(run, table, shown)}
            for place, arm in enumerate(names)
            for draw, table in enumerate(_tables(tests, arm))
        ],
    }


def _tables(tests: Tests, arm: str) -> Iterator[pd.DataFrame]:
    names = [BASELINE] if arm == BASELINE else runs_of(arm, tests.runs)
    return (tests.runs[name] for name in names)


def _values(run: Inputs, table: pd.DataFrame, shown: list[Metric]) -> dict[str, Any]:
    window = run.choice.window
    found = {one.id: series(table, *one.key) for one in shown}
    steps = sorted({step for values in found.values() for step in values.index})
    inside = [step for step in steps if window.start <= step <= window.end]
    return {
        "steps": inside,
        "values": {name: each(v.reindex(inside)) for name, v in found.items()},
    }
