"""Tables like an experiment's, for the tests of the report; and the words for arms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from headwater.config import PROBES
from headwater.corpus.window import Window
from headwater.evaluation.effects import curves, effect, summarise
from headwater.evaluation.metrics import COLUMNS
from headwater.evaluation.specificity import specificity
from headwater.evaluation.verdicts import Unit, verdicts
from headwater.heads.scores import SCORES
from headwater.heads.targets import CONTROLS, FOUND, Choice, Target
from headwater.interventions.runs import BASELINE, runs_of
from headwater.report import words

WINDOW = Window(1500, 2100)
DOMAINS = ["code", "html", "latex", "prose", "xml", "records"]

ARMS: dict[str, dict[str, Any]] = {
    "remove_top": {"action": "remove", "rows": "top", "target": "induction"},
    "remove_random": {"action": "remove", "rows": "random", "draws": 3},
    "remove_domain": {
        "action": "remove",
        "rows": "domain",
        "target": "induction",
        "draws": 3,
    },
    "remove_matched": {
        "action": "remove",
        "rows": "matched",
        "target": "induction",
        "draws": 3,
    },
    "insert_top": {"action": "insert", "rows": "top", "target": "induction"},
    "insert_random": {"action": "insert", "rows": "random", "draws": 3},
}

# (delay in steps, height) of the head's rise in each draw of an arm.
CLEAR: dict[str, list[tuple[float, float]]] = {
    "remove_top": [(330, 0.9)],
    "remove_random": [(11, 1.0), (20, 1.0), (25, 1.0)],
    "remove_domain": [(164, 1.0), (150, 1.0), (190, 1.0)],
    "insert_top": [(-107, 1.0)],
    "insert_random": [(-22, 1.0), (-19, 1.0), (-5, 1.0)],
}
Shapes = Mapping[str, list[tuple[float, float]]]


@dataclass
class Example:
    """All that the report reads, in memory."""

    arms: dict[str, dict[str, Any]]
    choice: Choice
    scores: pd.DataFrame
    runs: dict[str, pd.DataFrame]
    effects: pd.DataFrame
    summary: pd.DataFrame
    domains: dict[str, pd.DataFrame]
    fidelity: pd.DataFrame
    verdicts: pd.DataFrame
    specificity: pd.DataFrame
    labels: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.labels = words.arm_labels(self.arms, self.domains, "induction")


def example(
    shapes: Shapes = CLEAR, final: float = 0.77, window: Window = WINDOW
) -> Example:
    """An experiment whose arms delay the head's rise by so many steps.

    Args:
        shapes: draws of every arm; arms that are not in it are not in the config.
        final: head score that the baseline's rise ends at.
        window: of the arms.
    """
    arms = {
        name: {"fraction": 0.1, "draws": len(shapes[name]), **arm}
        for name, arm in ARMS.items()
        if name in shapes
    }
    runs = {BASELINE: _run(range(0, 2401, 50), 0, 1, final)}
    steps = range(window.start, window.end + 1, 50)
    for arm, draws in shapes.items():
        for draw, (delay, height) in enumerate(draws):
            runs[f"{arm}-seed{draw}"] = _run(steps, delay, height, final, draw + 1)
    effects = _effects(arms, runs, window)
    return Example(
        arms=arms,
        choice=_choice(final, window),
        scores=_scores(final),
        runs=runs,
        effects=effects,
        summary=summarise(effects),
        domains={
            "induction": domain_table([0.09, 0.04, 0.11, 0.04, 0.05, 0.67]),
            "previous_token": domain_table([0.2, 0.1, 0.15, 0.3, 0.15, 0.1]),
        },
        fidelity=pd.DataFrame(
            {
                "target": ["induction", "previous_token"],
                "rows": [512, 512],
                "spearman": [0.991, 0.984],
                "overlap_10": [0.96, 0.94],
                "ratio_10": [1.0012, 0.9996],
                "sign_10": [1.0, 1.0],
                "overlap_1": [0.8, 1.0],
                "ratio_1": [1.02, 0.99],
                "sign_1": [1.0, 1.0],
            }
        ),
        verdicts=verdicts(arms, [Unit("induction", "L1H3", {"laptop": effects})]),
        specificity=specificity(runs, arms, "prefix_matching", list(steps)),
    )


def domain_table(share_top: list[float]) -> pd.DataFrame:
    """A domain table with these shares of the top rows."""
    share = np.array([0.15] * 5 + [0.25])
    table = pd.DataFrame(
        {
            "domain": DOMAINS,
            "rows": (19200 * share).astype(int),
            "share": share,
            "share_top": share_top,
            "enrichment": np.array(share_top) / share,
            "mean_score": 0.5,
        }
    )
    return table.sort_values("enrichment", ascending=False)


def _rise(
    steps: np.ndarray, delay: float, height: float, final: float, draw: int
) -> np.ndarray:
    noise = 0.006 * np.sin(0.05 * steps + 2 * draw + delay)
    rise = final * height / (1 + np.exp(-(steps - 1850 - delay) / 110))
    start = final / (1 + np.exp(350 / 110))  # all runs leave the same checkpoint
    return np.where(steps <= WINDOW.start, start, rise + noise)


def _run(
    steps: range, delay: float, height: float, final: float, draw: int = 0
) -> pd.DataFrame:
    numbers = np.array(steps)
    score = _rise(numbers, delay, height, final, draw)
    wobble = 0.02 * np.sin(0.031 * numbers + draw + 0.1 * delay)
    metrics = {
        ("prefix_matching", "head", "L1H3"): score,
        ("prefix_matching", "head", "L1H1"): 0.1 + score / 2,
        ("prefix_matching", "head", "L0H0"): 0.05 + 0 * score,
        ("previous_token", "head", "L1H3"): 0.1 + 0 * score,
        ("icl", "group", "natural"): -0.25 - 0.95 * score + wobble,
        ("icl", "domain", "natural"): 9 + 0 * score,  # no group, only called like one
        ("probe", "target", "induction"): 4 * score - 8,
        ("loss", "group", "natural"): 3 - 0.2 * score,
    }
    return pd.concat(
        pd.DataFrame(dict(zip(COLUMNS, (numbers, *key, value), strict=True)))
        for key, value in metrics.items()
    )


def _scores(final: float) -> pd.DataFrame:
    steps = np.array([0, 1, 2, 4, 8, 16, 32, *range(50, 2401, 50)])
    flat = 0.02 + 1e-5 * steps
    curves = {f"L{layer}H{head}": flat for layer in (0, 1) for head in range(4)}
    curves["L1H3"] = final / (1 + np.exp(-(steps - 1850) / 110))
    return pd.concat(
        pd.DataFrame({"step": steps, "head": head, "prefix_matching": curve})
        for head, curve in curves.items()
    ).assign(previous_token=0.1, copying=0.0)


def _effects(
    arms: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, pd.DataFrame],
    window: Window,
) -> pd.DataFrame:
    steps = list(range(window.start, window.end + 1, 50))
    curve = "prefix_matching", "head", "L1H3"
    read = {
        name: curves(table, curve, "induction", steps) for name, table in runs.items()
    }
    none = {"action": "none", "rows": "none", "draw": 0, "rows_changed": 0}
    none["overlap"] = math.nan
    lines = [{"arm": BASELINE, **none, **effect(read[BASELINE], read[BASELINE])}]
    for name, arm in arms.items():
        for draw, run in enumerate(runs_of(name, runs)):
            what = {"action": arm["action"], "rows": arm["rows"], "draw": draw}
            measured = effect(read[run], read[BASELINE])
            what |= {"rows_changed": 1920, "overlap": arm.get("overlap", math.nan)}
            lines.append({"arm": name, **what, **measured})
    return pd.DataFrame(lines)


def _choice(final: float, window: Window) -> Choice:
    return Choice(
        window=window,
        window_chosen="auto",
        targets={
            "induction": Target(
                *("induction", "L1H3", "head", "L1H3", "auto"),
                *("prefix_matching", final, window),
                controls=dict.fromkeys(CONTROLS["prefix_matching"], 0.02),
                found=final >= FOUND,
            ),
            "previous_token": Target(
                *("previous_token", "L0H1", "head", "L0H1", "auto"),
                *("previous_token", 0.8, None),
                controls={},
                found=True,
            ),
        },
    )


def test_labels_name_action_rows_and_draws() -> None:
    assert example().labels == {
        "remove_top": "remove the top 10 % of rows",
        "remove_random": "remove a random 10 % of rows (3 draws)",
        "remove_domain": "remove 10 %: random 'records' rows (3 draws)",
        "insert_top": "insert copies of the top 10 % of rows",
        "insert_random": "insert copies of a random 10 % of rows (3 draws)",
    }


def test_a_matched_arm_is_told_from_a_random_one() -> None:
    labels = example({"remove_matched": [(164, 1.0)] * 3}).labels
    (label,) = labels.values()
    assert label == "remove a random 10 %, same domains (3 draws)"


def test_labels_of_arms_that_differ_in_target_only() -> None:
    tables = example()
    top = tables.arms["remove_top"]
    arms = {"own": top, "other": {**top, "target": "previous_token"}}
    labels = words.arm_labels(arms, tables.domains, "induction")
    assert labels["own"] == "remove the top 10 % of rows"
    assert labels["other"] == "remove the top 10 % of rows for previous_token"


def test_labels_of_equal_arms_end_in_their_names() -> None:
    tables = example()
    arms = dict.fromkeys(("one", "two"), tables.arms["remove_random"])
    labels = words.arm_labels(arms, tables.domains, "induction")
    assert [label[-5:] for label in labels.values()] == ["[one]", "[two]"]


def test_the_domain_is_not_named_where_the_table_does_not_tell() -> None:
    tables = example()
    arm = {**tables.arms["remove_domain"], "fraction": 0.3}
    (label,) = words.arm_labels({"arm": arm}, tables.domains, "induction").values()
    assert label == "remove 30 %: random rows of the top domain (3 draws)"


def test_every_score_and_probe_has_words() -> None:
    for known in (words.SCORE_NAMES, words.SCORE_MEANINGS, words.SCORE_RANGES):
        assert known.keys() == {*SCORES} - {*sum(CONTROLS.values(), ())}
    assert words.PROBE_MEANINGS.keys() == {*PROBES}


def test_what_was_chosen_after_seeing_the_baseline_is_said() -> None:
    choice = example().choice
    target = choice.targets["induction"]
    given = replace(target, chosen="given")
    assert words.how_chosen(target, choice).startswith("Head and window were chosen")
    assert words.how_chosen(given, choice).startswith("The window was chosen")
    plan = replace(choice, window_chosen="given")
    assert words.how_chosen(given, plan) == "Head and window are given in the config."
