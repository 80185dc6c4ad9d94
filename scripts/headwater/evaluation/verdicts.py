"""Which claims about arms hold, over the members of a study.

A claim is that a judged arm moves a metric of the target's head as its action should:
against the baseline (*directional effectiveness*), and further than a control arm of
the same action and size does (*selection advantage*). The direction is fixed here,
before anything is measured, so tests are one-sided.

Members differ in far more than arms do: in the head, the window, the order. So all is
paired: a member gives one difference, arm minus control, with the mean over draws where
an arm has several. A member without one of the values gives none.

The verdict asks two questions of the n differences, and `holds` needs both.

- Is their mean too far from 0 for chance? Student's t; its p is corrected for the
  claims of the table by Holm's method. Half of the level goes to the claims about the
  head's score, which is what the experiment asks; the other metrics share the rest.
  Normal differences are taken for granted, and tried in docs/numerics.md, Verdicts.
- Do the differences point one way? An exact test that flips their signs in all 2^n
  ways, which is right for any symmetric differences, but is never below 1/2^n. So fewer
  than five members are `not enough seeds`, whatever they show.

The interval is Student's, two-sided, of a single claim.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS, Kind, score_of
from headwater.interventions.places import moves_later, place_of
from headwater.interventions.runs import BASELINE
from headwater.interventions.scores import DEFAULT

LEVEL = 0.05  # of all claims of a table together
CONFIDENCE = 0.95  # of an interval
MOST_FLIPS = 1 << 14  # above so many they are drawn
HOLDS, FAILS, TOO_FEW = "holds", "does not hold", "not enough seeds"
FEWEST = int(np.ceil(-np.log2(LEVEL)))  # members that can show anything

# By metric: its column in the tables of effects, and whether it is higher (1) or lower
# (-1) with more of the head. The least shift of the onset is used, since a run that
# never gets half-way has no other.
METRICS = {
    "area": ("area_ratio", 1),
    "half_way": ("onset_at_least", -1),
    "probe": ("probe_change", 1),
    "copy_gain": ("copy_gain_change", 1),
    "natural_copy_gain": ("natural_copy_gain_change", 1),
    "icl": ("final_icl", -1),
    "copyable_loss": ("copyable_loss_change", -1),
}
CONTROL_METRICS = ("area", "half_way", "probe")  # the others are of the whole model
PRIMARY = "area"  # the metric whose claims have half of the level
# Of the rows' own effect.
ACTION_SIGNS = {
    **{"remove": -1, "mask": -1, "reweight": -1},
    **{"insert": 1, "repeat": 1, "generate": 1, "swap": 1},
}


@dataclass(frozen=True)
class Unit:
    """A head that claims are made about.

    Attributes:
        target: for which its rows were ranked.
        label: what to call it.
        effects: of every member, by arm, measured on this head.
        metrics: of `METRICS`, those that say something about it.
    """

    target: str
    label: str
    effects: Mapping[str, pd.DataFrame]
    metrics: tuple[str, ...] = tuple(METRICS)


@dataclass(frozen=True)
class Claim:
    """That an arm moves a metric further than a control, in one direction.

    Attributes:
        sign: 1 if the metric should be higher than the control's, -1 if lower.
    """

    metric: str
    arm: str
    control: str
    sign: int


def controls_of(arm: str, arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The arms that a judged arm is compared with, besides the baseline.

    They have its action and size, and rows by chance, rows that may explain what helps
    (or hinders) as its own should, or its kind of rows for the head of another target
    or, if its score is none of the paper's, by the paper's. Rows that were drawn beside
    those of another score are no control. Of rows written afresh, copies of as many
    random and top rows of the window are controls, too.
    """
    own = arms[arm]
    sign, rivals = KINDS[own["rows"]].sign, KINDS[own["rows"]].rivals
    actions = own["action"], *ACTIONS[own["action"]].beside

    def is_control(other: Mapping[str, Any]) -> bool:
        if other["action"] not in actions or other["fraction"] != own["fraction"]:
            return False
        if place_of(other) != place_of(own):
            return False
        kind = KINDS[other["rows"]]
        same_target = other.get("target", own.get("target")) == own.get("target")
        if score_of(other) != score_of(own):
            if other["rows"] == own["rows"]:
                return same_target and score_of(other) == DEFAULT
            same_target = same_target and not other.get("disjoint", kind.disjoint)
        if same_target and other["rows"] in rivals:
            return True
        helps = _explains(kind, own) and KINDS[kind.explains].sign == sign
        other_head = other["rows"] == own["rows"] and not same_target
        return kind.role == "chance" or (helps and same_target) or other_head

    return [name for name, other in arms.items() if is_control(other)]


def _explains(control: Kind, judged: Mapping[str, Any]) -> bool:
    """Whether a control may explain what a judged arm does, written rows by written."""
    written = KINDS[judged["rows"]].written
    return bool(control.explains) and KINDS[control.explains].written == written


def claims(
    arms: Mapping[str, Mapping[str, Any]],
    target: str,
    metrics: tuple[str, ...] = tuple(METRICS),
) -> Iterator[Claim]:
    """Every claim of an experiment's arms about the head of a target.

    Arms whose rows were ranked for another target claim nothing about this one's head.

    Args:
        arms: the config's section.
        target: whose head the arms are measured on.
    """
    for arm, settings in arms.items():
        kind = KINDS[settings["rows"]]
        if kind.role == "judged" and settings.get("target", target) == target:
            wanted = ACTION_SIGNS[settings["action"]] * kind.sign
            if moves_later(settings):  # sooner is what helps
                wanted = -wanted
            for metric in metrics:
                direction = METRICS[metric][1] * wanted
                for control in (BASELINE, *controls_of(arm, arms)):
                    yield Claim(metric, arm, control, direction)


def differences(
    claim: Claim, members: Mapping[str, pd.DataFrame]
) -> Float[np.ndarray, " n"]:
    """Arm minus control in every member that has both, in the metric's unit.

    Args:
        members: effects of every member on the claim's head.
    """
    column = METRICS[claim.metric][0]
    found = []
    for effects in members.values():
        means = effects.groupby("arm")[column].agg(
            lambda draws: draws.mean(skipna=False)
        )
        found.append(means.get(claim.arm, np.nan) - means.get(claim.control, np.nan))
    values = np.array(found, np.float64)
    return values[np.isfinite(values)]


def shares(primary: Shaped[np.ndarray, " claims"]) -> Float[np.ndarray, " claims"]:
    """Every claim's share of the level, equal within the two kinds of claims."""
    counts = np.where(primary, primary.sum(), (~primary).sum())
    return 1 / (counts * (2 if 0 < primary.sum() < len(primary) else 1))


def holm(
    p: Float[np.ndarray, "*tables claims"], share: Float[np.ndarray, " claims"]
) -> Float[np.ndarray, "*tables claims"]:
    """P values corrected for the claims of each table (Holm 1979, with weights).

    Args:
        share: of the level, by claim; adds up to 1.
    """
    order = np.argsort(p / share, axis=-1)
    weights = share[order]
    left = np.cumsum(weights[..., ::-1], axis=-1)[..., ::-1]
    scaled = np.take_along_axis(p, order, -1) * left / weights
    steps = np.minimum(np.maximum.accumulate(scaled, axis=-1), 1.0)
    found = np.empty_like(steps)
    np.put_along_axis(found, order, steps, -1)
    return found


def t_test(signed: Float[np.ndarray, "*claims n"]) -> Float[np.ndarray, "*claims"]:
    """One-sided p of a mean above 0; 1 where it has none."""
    if signed.shape[-1] < 2:
        return np.ones(signed.shape[:-1])
    from scipy import stats  # not in jobs that only read verdicts

    with np.errstate(all="ignore"):
        mean = signed.mean(axis=-1)
        t = mean / (signed.std(axis=-1, ddof=1) / np.sqrt(signed.shape[-1]))
    return np.where(np.isnan(t), 1.0, stats.t.sf(t, signed.shape[-1] - 1))


def sign_test(signed: Float[np.ndarray, "*claims n"]) -> Float[np.ndarray, "*claims"]:
    """One-sided p of a mean above 0: the share of all flips of signs that reach it.

    Above 14 members a fixed sample of the flips is taken.
    """
    if signed.shape[-1] < 2:
        return np.where(signed[..., 0] > 0, 0.5, 1.0)
    from scipy import stats

    found = stats.permutation_test(
        (signed,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=MOST_FLIPS,
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return np.asarray(found.pvalue)


def decide(
    corrected: Float[np.ndarray, "*claims"],
    exact: Float[np.ndarray, "*claims"],
    n: Shaped[np.ndarray, "*claims"],
) -> Shaped[np.ndarray, "*claims"]:
    """The verdicts on claims of these p values and numbers of members."""
    holds = (corrected <= LEVEL) & (exact <= LEVEL)
    return np.where(n < FEWEST, TOO_FEW, np.where(holds, HOLDS, FAILS))


def units(own: Unit, tables: Mapping[str, pd.DataFrame]) -> Iterator[Unit]:
    """A window's head, then those of other targets with arms of their own.

    Args:
        tables: `evaluation/control_units.tsv` of every member.
    """
    yield own
    for target in dict.fromkeys(name for one in tables.values() for name in one.target):
        parts = {
            member: table[table["target"] == target] for member, table in tables.items()
        }
        labels = dict.fromkeys(name for part in parts.values() for name in part["unit"])
        yield Unit(target, ", ".join(labels), parts, CONTROL_METRICS)


def verdicts(
    arms: Mapping[str, Mapping[str, Any]], units: Iterable[Unit]
) -> pd.DataFrame:
    """A line for every claim of which anything was measured: `report/verdicts.tsv`.

    Args:
        arms: the config's section.
        units: the window's head, and the control units.

    Returns:
        Columns claim, unit, metric, arm, control, predicted (`higher` or `lower`), n,
        effect (mean of arm minus control, in the metric's unit), low, high, p, p_exact,
        p_corrected, verdict, directional_effectiveness (the verdict against the
        baseline) and selection_advantage (against the control; none of the baseline).
    """
    made = [
        (claim, differences(claim, unit.effects), unit.label)
        for unit in units
        for claim in claims(arms, unit.target, unit.metrics)
    ]
    table = pd.DataFrame(
        [_line(claim, values, label) for claim, values, label in made if len(values)],
        columns=[*_MEASURED, "p_corrected", "verdict", *_ASKED],
    )
    share = shares(table["metric"].to_numpy() == PRIMARY)
    table["p_corrected"] = holm(table["p"].to_numpy(np.float64), share)
    judged = table["p_corrected"], table["p_exact"], table["n"]
    table["verdict"] = decide(*(column.to_numpy(np.float64) for column in judged))
    against = table[table["control"] == BASELINE].set_index(["metric", "arm"])[
        "verdict"
    ]
    keys = pd.MultiIndex.from_frame(table[["metric", "arm"]])
    table[_ASKED[0]] = against.reindex(keys).to_numpy()
    table[_ASKED[1]] = table["verdict"].where(table["control"] != BASELINE)
    return table


_MEASURED = [
    *("claim", "unit", "metric", "arm", "control", "predicted", "n"),
    *("effect", "low", "high", "p", "p_exact"),
]
_ASKED = ["directional_effectiveness", "selection_advantage"]


def _line(
    claim: Claim, values: Float[np.ndarray, " n"], unit: str
) -> dict[str, str | float]:
    predicted = "higher" if claim.sign > 0 else "lower"
    low = high = float("nan")
    if len(values) > 1:
        from scipy import stats

        spread = stats.sem(values) * stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
        low, high = values.mean() - spread, values.mean() + spread
    return {
        "claim": f"{claim.metric} of {unit} {predicted} in {claim.arm} than in "
        f"{claim.control}",
        "unit": unit,
        "metric": claim.metric,
        "arm": claim.arm,
        "control": claim.control,
        "predicted": predicted,
        "n": len(values),
        "effect": float(values.mean()),
        "low": float(low),
        "high": float(high),
        "p": float(t_test(claim.sign * values)),
        "p_exact": float(sign_test(claim.sign * values)),
    }
