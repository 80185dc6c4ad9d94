"""Findings as sentences. No sentence claims more than its finding."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from headwater.heads.targets import Choice, Target
from headwater.influence.ranking import FIDELITY_TOPS, three_digits
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS, Kind
from headwater.report import words
from headwater.report.amounts import area, between, change, number
from headwater.report.findings import (
    AREA_FLOOR,
    PROBE_FLOOR,
    Arm,
    Controls,
    Finding,
    Judgement,
    Rise,
    Spread,
    compare,
    domain_controls,
    domain_share,
)
from headwater.report.visible import plain

ENRICHED = 1.2  # times its share of the window
CLOSE_FIDELITY, FAIR_FIDELITY = 0.95, 0.8
CLEAR = (Finding.LOWER, Finding.HIGHER)


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
    if not rise.in_window:
        text += (
            " That is too small a rise for the arms to change; read no effect into "
            "their numbers."
        )
    return text


def arm_sentences(arm: Arm, judgement: Judgement, baseline: Arm) -> str:
    """What a judged arm did to the head and to in-context learning."""
    parts = _rise_sentence(arm, judgement), *_further(arm, judgement, baseline)
    return " ".join(parts)


def _rise_sentence(arm: Arm, judgement: Judgement) -> str:
    what = doing(arm)
    if not arm.area.known:
        return f"{what}: no effect could be measured."
    if judgement.controls is None:
        return (
            f"{what} gave {area(arm.area)} of the baseline's area, but without random "
            "draws of the same kind and size nothing follows from that."
        )
    count = judgement.controls.draws
    draws = f"random draw{'s' if count > 1 else ''}"
    against = f"{area(judgement.controls.area)} in {count} {draws}"
    if judgement.area is Finding.UNKNOWN:
        return f"{what} gave {area(arm.area)} of the area; its controls gave none."
    if judgement.area is Finding.WITHIN:
        return (
            f"{what} did not change the head's rise beyond chance: {area(arm.area)} of "
            f"the baseline's area, {against}."
        )
    if judgement.area is Finding.CLOSE:
        return (
            f"{what} is too close to call: {area(arm.area)} of the baseline's area, "
            f"just outside the range of its controls ({against})."
        )
    verb = "slowed" if judgement.area is Finding.LOWER else "hastened"
    text = (
        f"{what} {verb} the head's rise: {area(arm.area)} of the baseline's area, "
        f"{against}."
    )
    return f"{text}{_onset_sentence(arm)}"


def _onset_sentence(arm: Arm) -> str:
    """That runs never come half-way; "" if all do. Their mean can only be bounded."""
    if not arm.never:
        return ""
    some = arm.never < arm.draws
    text = " It never made half of the baseline's rise in the window"
    if some:
        text += f" in {arm.never} of {arm.draws} draws"
    if np.isfinite(arm.at_least):
        mean = " in the mean" if some else ""
        text += f": at least {arm.at_least:z.0f} steps later{mean}"
    return f"{text}."


def _further(arm: Arm, judgement: Judgement, baseline: Arm) -> Iterator[str]:
    """Of probe and ICL score, where they were measured."""
    random = judgement.controls
    if random and judgement.probe is not Finding.UNKNOWN:
        yield (
            "The probe, which the scores predict, "
            f"{_course(judgement.probe, 'fell', 'rose')}: {change(arm.probe)}, random "
            f"{change(random.probe)}."
        )
    if random and judgement.icl is not Finding.UNKNOWN:
        course = _course(judgement.icl, "was stronger", "was weaker")
        yield (
            f"In-context learning {course}: ICL {between(arm.icl)}, baseline "
            f"{between(baseline.icl)}, random {between(random.icl)}."
        )


def _course(finding: Finding, lower: str, higher: str) -> str:
    return {
        Finding.WITHIN: "did not change beyond chance",
        Finding.CLOSE: "changed too little to call",
        Finding.LOWER: lower,
        Finding.HIGHER: higher,
    }[finding]


def doing(arm: Arm) -> str:
    """A judged arm as the beginning of a sentence."""
    share, alike = words.percent(arm.fraction), words.alike(arm.alike)
    rows = KINDS[arm.rows].label.format(share=share, alike=alike)
    text = ACTIONS[arm.action].doing.format(rows=rows)
    return text[0].upper() + text[1:]


def domain_sentences(
    arm: Arm,
    judgement: Judgement,
    arms: Mapping[str, Arm],
    domains: Mapping[str, pd.DataFrame],
) -> Iterator[str]:
    """How much of a judged arm's effects its domains alone have; none without any."""
    if judgement.controls is None or not {judgement.area, judgement.probe} & {*CLEAR}:
        return
    action, rows = ACTIONS[arm.action].verb.capitalize(), KINDS[arm.rows].noun
    settings = {"fraction": arm.fraction, "target": arm.target}
    domain = words.domain_of(settings, domains)
    controls = [
        (kind, alike, control)
        for name, kind in KINDS.items()
        if kind.verdict and kind.explains == arm.rows
        for alike, control in domain_controls(arm, arms, name).items()
    ]
    if not controls:
        yield (
            f"{action} had no control of the {rows}' domains: how much of its effect "
            "is the domains' is not known."
        )
    for kind, alike, control in controls:
        told = " It gave ".join(_told(arm, judgement, control, kind))
        noun = kind.noun.format(domain=domain, alike=words.alike(alike))
        noun = f"{noun}{_shared(control, rows)}"
        yield f"{action} as many random {noun} gave {told}"


def _shared(control: Controls, rows: str) -> str:
    """How many rows of a control are the judged rows themselves."""
    if not np.isfinite(control.overlap):
        return ""
    share = words.percent(control.overlap) if control.overlap else "none"
    return f" ({share} of them {rows})"


def _told(
    arm: Arm, judgement: Judgement, control: Controls, kind: Kind
) -> Iterator[str]:
    """What a control of the domains gave, and what follows, effect by effect."""
    random = judgement.controls
    assert random is not None
    areas = arm.area, random.area, control.area
    probes = arm.probe, random.probe, control.probe
    for form, what, three, finding, floor in (
        (area, "of the area", areas, judgement.area, AREA_FLOOR),
        (change, "on the probe", probes, judgement.probe, PROBE_FLOOR),
    ):
        if finding in CLEAR:
            top, anything, own = map(form, three)
            beside = f"{KINDS[arm.rows].noun} {top}, any rows {anything}"
            verdict = _verdict(*three, finding, floor, kind)
            yield f"{own} {what} ({beside}): {verdict}."


def _verdict(
    top: Spread,
    random: Spread,
    control: Spread,
    finding: Finding,
    floor: float,
    kind: Kind,
) -> str:
    """What a control of the domains says of an effect of the kind that it explains."""
    rows = KINDS[kind.explains].noun
    if not control.known:
        return "nothing follows from that"
    if compare(control, random, floor) not in CLEAR:
        return "not clearly unlike any rows, so the effect is not the domain's"
    if compare(top, control, floor) is not finding:
        return f"the {rows} did not clearly do more, so the ranking adds nothing clear"
    share = domain_share(top, random, control)
    if share < 0:
        return f"the opposite of the {rows}' effect"
    effect = f"alone reaches about {100 * share:.0f} % of the effect"
    return kind.verdict.format(effect=effect)


def origin_sentence(name: str, target: Target, table: pd.DataFrame) -> str:
    """Which domains a target's top rows come from."""
    ordered = table.sort_values("share_top", ascending=False).head(3)
    parts = [
        f"{plain(str(line['domain']))} {100 * line['share_top']:.0f} % "
        f"({words.factor(line['enrichment'])})"
        for _, line in ordered.iterrows()
        if np.isfinite(line["enrichment"])
    ]
    stands_out = ((table["enrichment"] >= ENRICHED) & (table["share_top"] > 0)).any()
    text = f"{name} ({target.head}): {', '.join(parts)}"
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
        f"The scores agree {how} (Spearman {values}; {rows}): {tops}. The factors are "
        "the same: no word on EK-FAC."
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
