"""Findings as sentences. No sentence claims more than its finding."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from headwater.heads.targets import Choice, Target
from headwater.identity import Config
from headwater.influence.ranking import FIDELITY_TOPS, three_digits
from headwater.models.sections import geometry_of
from headwater.report import words
from headwater.report.amounts import number
from headwater.report.findings import Arm, Rise
from headwater.report.visible import plain
from headwater.units import Unit

ENRICHED = 1.2  # times its share of the window
CLOSE_FIDELITY, FAIR_FIDELITY = 0.95, 0.8


def head_sentence(target: Target, rise: Rise, choice: Choice) -> str:
    """Whether the head emerged, from what score to what score, when; how chosen."""
    score = words.SCORE_NAMES[target.score]
    over = f"from {number(rise.first)} to {number(rise.last)}"
    chosen = words.how_chosen(target, choice)
    if not rise.emerged:
        best = ", the highest of all heads," if target.chosen == "auto" else ""
        if target.controls:
            over += f" (of its controls: up to {number(max(target.controls.values()))})"
        return (
            f"No head emerged: the {score} of {target.head}{best} went {over}. "
            f"{chosen} The arms had nothing to change; read no effect into their "
            "numbers."
        )
    start, end = choice.window.start, choice.window.end
    text = (
        f"Head {target.head} emerged: it {words.SCORE_MEANINGS[target.score]}. Its "
        f"{score} rose {over} over the run; in the window, steps {start:,} to {end:,}, "
        f"it went from {number(rise.start)} to {number(rise.end)}. {chosen}"
    )
    if target.unit != target.head:
        text += f" Rows are ranked for the {target.name}; the curves are its head's."
    if not rise.in_window:
        text += (
            " That is too small a rise for the arms to change; read no effect into "
            "their numbers."
        )
    return text


def sharing_sentence(unit: Unit, config: Config) -> str:
    """With which heads it shares keys and values that count; "" if with none."""
    if config["gradients"]["mode"] == "qo":
        return ""
    sizes, own = geometry_of(config["model"]), unit.heads
    return " ".join(
        f"{head} shares its keys and values with {others}; their gradient is that of "
        "all of these heads."
        for head in unit.heads
        if (others := ", ".join(str(h) for h in sizes.sharing(head) if h not in own))
    )


def onset_sentence(arm: Arm) -> str:
    """That runs never come half-way; "" if all do. Their mean can only be bounded."""
    if not arm.never:
        return ""
    some = arm.never < arm.draws
    text = "It never made half of the baseline's rise in the window"
    if some:
        text += f" in {arm.never} of {arm.draws} draws"
    if np.isfinite(arm.at_least):
        mean = " in the mean" if some else ""
        text += f": at least {arm.at_least:z.0f} steps later{mean}"
    return f"{text}."


def origin_sentence(name: str, target: Target, table: pd.DataFrame) -> str:
    """Which domains a target's top rows come from."""
    ordered = table.sort_values("share_top", ascending=False).head(3)
    parts = [
        f"{plain(str(line['domain']))} {words.whole_percent(line['share_top'])} "
        f"({words.factor(line['enrichment'])})"
        for _, line in ordered.iterrows()
        if np.isfinite(line["enrichment"])
    ]
    stands_out = ((table["enrichment"] >= ENRICHED) & (table["share_top"] > 0)).any()
    text = f"{name} ({target.unit}): {', '.join(parts)}"
    return text if stands_out else f"{text}; no domain stands out"


def fidelity_sentence(table: pd.DataFrame) -> str:
    """How well stored scores agree with exact ones, over all rows and in the top."""
    signs, ratios = (table.filter(regex=f"^{what}_") for what in ("sign", "ratio"))
    measured = pd.concat([table["spearman"], signs, 1 - (ratios - 1).abs()], axis=1)
    lowest = measured.min(axis=None, skipna=False)
    rows = f"{table['rows'].max():,} sampled rows"
    if not np.isfinite(lowest):
        return f"The scores could not be compared with exact ones ({rows})."
    how = "poorly with exact ones: do not trust the ranking"
    if lowest >= CLOSE_FIDELITY:
        how = "closely with exact ones"
    elif lowest >= FAIR_FIDELITY:
        how = "fairly with exact ones"
    values = ", ".join(map(three_digits, table["spearman"]))
    tops = "; ".join(_top_sentence(table, top) for top in FIDELITY_TOPS)
    return (
        f"The scores agree {how} (Spearman {values}; {rows}): {tops}. Both use the "
        "same approximation of the curvature (EK-FAC); how good that is, this does not "
        "say."
    )


def _top_sentence(table: pd.DataFrame, top: str) -> str:
    overlap, sign = (
        three_digits(table[f"{what}_{top}"].min()) for what in ("overlap", "sign")
    )
    ratio = table[f"ratio_{top}"]
    ends = dict.fromkeys(map(three_digits, (ratio.min(), ratio.max())))
    return (
        f"of the top {top} % at least {overlap} are the same, {sign} of the same sign, "
        f"{' to '.join(ends)} times the exact score"
    )


def hidden_sentence(share: float) -> str:
    """That some rows are generated though no name says so; "" if none is."""
    if not share:
        return ""
    return (
        f"{words.percent(share)} of the training rows are generated and carry the "
        "names of natural domains, so that it is known what a ranking should find: an "
        "examination, and no discovery about natural text."
    )


def planted_sentence(domains: Mapping[str, pd.DataFrame], planted: str | None) -> str:
    """That a domain is planted; "" if none is, or the window has no row of it."""
    if not any(
        ((table["domain"] == planted) & (table["rows"] > 0)).any()
        for table in domains.values()
    ):
        return ""
    return (
        f"'{planted}' is planted: rows generated to make an induction head form. To "
        "find them is a test of the method, no discovery about natural text."
    )
