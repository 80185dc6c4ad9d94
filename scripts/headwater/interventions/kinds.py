"""Kinds of rows (`arms.<name>.rows`), one row of `KINDS` each.

A row says what the kind picks, what it needs, and how it is told and drawn. The check
of the config, the arms, the figures and the summary ask it, so a new kind is a new row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

from headwater.errors import HeadwaterError
from headwater.interventions.facts import Picked, RowFacts, random_rows
from headwater.interventions.matching import matched_rows, strata_rows, subset_rows
from headwater.interventions.scores import DEFAULT
from headwater.interventions.slopes import reweights
from headwater.interventions.tokens import MASKS, MEASURED, masks

WRITTEN_KEYS = ("target", "motifs", "motifs_of")  # of arms of rows written afresh

# What arms of a kind are there for: to be compared with chance and with controls; to
# be chance; to be another explanation of what a judged kind does; to judge scores by.
Role = Literal["judged", "chance", "control", "bank"]
Pick = Callable[[RowFacts, int, Generator], Picked]


@dataclass(frozen=True)
class Kind:
    """One kind of rows.

    In texts, `{share}` is the arm's share of the rows, `{alike}` what its rows are
    alike in, such as "domains and loss", and `{domain}` the rows of the domain that has
    most of the target's top rows, such as "'code' rows".

    Attributes:
        pick: facts, count and generator to so many row numbers, ascending.
        role: what its arms are there for.
        label: its rows in a legend.
        noun: its rows in a sentence, in the plural.
        colours: of its curves, by action that it goes with; no two kinds share one.
        width: of its curves, points.
        dashes: of its curves, as matplotlib's line style.
        scored: whether it needs the scores of a target.
        drawn: whether its draws differ.
        facts: what it picks by, besides.
        keys: of an arm's own keys, those that it takes.
        required: those of them that it cannot do without.
        alike: facts of its cells, where the arm does not say.
        disjoint: whether it draws rows beside the top ones, where the arm does not say.
        note: what a figure must add to the label.
        explains: of role `control`, the judged kind that it is compared with.
        written: whether its rows are written afresh, and stand in no window.
        rivals: judged kinds of the window's rows whose copies are controls of its own.
        sign: of role `judged`, 1 if its rows should help the head, -1 if hinder it.
    """

    pick: Pick
    role: Role
    label: str
    noun: str
    colours: Mapping[str, str]
    width: float
    dashes: str | tuple[float, tuple[float, ...]]
    scored: bool = True
    drawn: bool = True
    facts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    disjoint: bool = False
    note: str = ""
    explains: str = ""
    written: bool = False
    rivals: tuple[str, ...] = ()
    sign: int = 1


def alike_of(arm: Mapping[str, Any]) -> tuple[str, ...]:
    """Facts in which rows of one cell of an arm are alike."""
    own = arm.get("match", arm.get("strata"))
    return KINDS[arm["rows"]].alike if own is None else tuple(own)


def score_of(arm: Mapping[str, Any]) -> str:
    """The name of the score that an arm's rows are ranked by."""
    return str(arm.get("score", DEFAULT))


def scored(arm: Mapping[str, Any]) -> bool:
    """Whether an arm needs scores of a target, for its rows or their weights."""
    return KINDS[arm["rows"]].scored or reweights(arm)


def facts_of(arm: Mapping[str, Any]) -> list[str]:
    """All facts that an arm's rows, or tokens, are picked by, each once."""
    if masks(arm):
        fact = MASKS[arm["rows"]].fact
        return [fact] if fact in MEASURED else []
    kind = KINDS[arm["rows"]]
    own = score_of(arm)
    scores = ("score" if own == DEFAULT else own, "loss") if scored(arm) else ()
    return list(dict.fromkeys((*scores, *kind.facts, *alike_of(arm))))


def is_compared(arm: Mapping[str, Any]) -> bool:
    """Whether the rows of an arm can be compared with those that its kind explains."""
    kind = KINDS[arm["rows"]]
    picks_rows = not (masks(arm) or reweights(arm))
    return picks_rows and kind.scored and bool(kind.explains)


def written(arm: Mapping[str, Any]) -> bool:
    """Whether an arm's rows are written afresh."""
    return KINDS[arm["rows"]].written


def motif_file(experiment: str, target: str) -> str:
    """Where an experiment has the motifs of a target's top rows."""
    return f"results/{experiment}/catalysts/{target}.motifs.json"


def motifs_of(arm: Mapping[str, Any], experiment: str) -> str | None:
    """The file of motifs that an arm's rows are written after; None without any.

    Args:
        experiment: the arm's own.
    """
    if not written(arm):
        return None
    if "motifs" in arm:
        return str(arm["motifs"])
    return motif_file(arm.get("motifs_of", experiment), arm["target"])


def _top(facts: RowFacts, count: int, _: Generator) -> Picked:
    return np.sort(facts.ranking()[:count])


def _bottom(facts: RowFacts, count: int, _: Generator) -> Picked:
    return np.sort(facts.ranking()[::-1][:count])


def _highest(fact: str) -> Pick:
    """The rows with the highest number, of those that may explain the top ones."""

    def pick(facts: RowFacts, count: int, _: Generator) -> Picked:
        ranking = facts.ranking(fact)
        if facts.disjoint:
            ranking = ranking[np.isin(ranking, facts.others(count))]
        return np.sort(ranking[:count])

    return pick


def _file(facts: RowFacts, count: int, generator: Generator) -> Picked:
    if (listed := int(np.isfinite(facts.numbers["file"]).sum())) < count:
        raise HeadwaterError(
            f"arm: {count} rows wanted, but its file lists {listed}; lower the arm's "
            "fraction, or list more rows"
        )
    return _highest("file")(facts, count, generator)


def _random(facts: RowFacts, count: int, generator: Generator) -> Picked:
    return random_rows(np.arange(len(facts.domains)), count, generator)


def _written(facts: RowFacts, count: int, _: Generator) -> Picked:
    """Numbers after the window's last: `ArmRows.rows` tells fresh rows by them."""
    return len(facts.domains) + np.arange(count)


def _domain(facts: RowFacts, count: int, generator: Generator) -> Picked:
    most = int(np.bincount(facts.domains[facts.ranking()[:count]]).argmax())
    others = facts.others(count)
    rows = others[facts.domains[others] == most]
    if facts.disjoint and len(rows) < count:
        raise facts.too_few(most, count, len(rows))
    return random_rows(rows, count, generator)


KINDS = {
    "top": Kind(
        _top,
        "judged",
        drawn=False,
        label="the top {share} of rows",
        noun="top rows",
        colours={
            "remove": "#b2182b",
            "insert": "#2166ac",
            "repeat": "#01665e",
            "swap": "#7a0177",
            "mask": "#8e0152",
            "reweight": "#7f0000",
        },
        width=2.8,
        dashes="solid",
    ),
    "bottom": Kind(
        _bottom,
        "judged",
        drawn=False,
        label="the bottom {share} of rows",
        noun="bottom rows",
        colours={
            "remove": "#fdae61",
            "insert": "#053061",
            "repeat": "#003c30",
            "swap": "#dd3497",
            "mask": "#b8e186",
            "reweight": "#dfc27d",
        },
        width=2.4,
        dashes="solid",
        sign=-1,
    ),
    # What the ranking knows beyond the facts of the strata, in which rows are alike.
    "strata": Kind(
        strata_rows,
        "judged",
        drawn=False,
        keys=("strata",),
        required=("strata",),
        label="the top {share} within strata of {alike}",
        noun="stratified top rows",
        colours={"remove": "#e31a1c", "insert": "#00bfc4", "repeat": "#33a02c"},
        width=2.6,
        dashes="solid",
    ),
    "file": Kind(
        _file,
        "judged",
        scored=False,
        drawn=False,
        facts=("file",),
        keys=("file",),
        required=("file",),
        label="the first {share} of rows of a file",
        noun="listed rows",
        colours={"remove": "#b15928", "insert": "#02818a", "repeat": "#00441b"},
        width=2.5,
        dashes="solid",
    ),
    "random": Kind(
        _random,
        "chance",
        scored=False,
        label="a random {share} of rows",
        noun="random rows",
        colours={
            "remove": "#ef8a62",
            "insert": "#67a9cf",
            "repeat": "#5ab4ac",
            "swap": "#fbb4b9",
            "mask": "#e08214",
            "reweight": "#b2abd2",
        },
        width=1.7,
        dashes=(0, (4, 1.6)),
    ),
    "subset": Kind(
        subset_rows,
        "bank",
        scored=False,
        keys=("strata", "order"),
        label="a random subset of {share}",
        noun="random subsets",
        colours={"remove": "#fcae91", "insert": "#bdd7e7", "repeat": "#bae4b3"},
        width=1.4,
        dashes=(0, (4, 3)),
    ),
    # Rows like the top ones in all that is named: the ranking is told from that.
    "matched": Kind(
        matched_rows,
        "control",
        keys=("match", "disjoint"),
        alike=("domain",),
        disjoint=True,
        label="a random {share}, same {alike}",
        noun="rows in the top rows' mix of {alike}",
        colours={
            "remove": "#35978f",
            "insert": "#80cdc1",
            "repeat": "#8c510a",
            "swap": "#41b6c4",
        },
        width=2.2,
        dashes=(0, (1.4, 1.2)),
        note="Same ...: random rows in the top rows' mix of what is named",
        explains="top",
    ),
    # Rows of one domain, that of most top rows: the ranking is told from "any row of
    # this domain". That is another mix than the top rows', so what such rows leave
    # unexplained is not the ranking's only.
    "domain": Kind(
        _domain,
        "control",
        keys=("disjoint",),
        alike=("domain",),
        disjoint=True,
        label="{share}: random {domain}",
        noun="{domain}",
        colours={"remove": "#762a83", "insert": "#9970ab", "repeat": "#b07aa1"},
        width=2.0,
        dashes=(0, (7, 1.6, 1.4, 1.6)),
        explains="top",
    ),
    "loss": Kind(
        _highest("loss"),
        "control",
        drawn=False,
        keys=("disjoint",),
        label="the {share} with the highest loss",
        noun="rows with the highest loss",
        colours={
            "remove": "#d6604d",
            "insert": "#3f007d",
            "repeat": "#a6d96a",
            "swap": "#225ea8",
            "mask": "#35a1ab",
            "reweight": "#1d91c0",
        },
        width=2.1,
        dashes=(0, (9, 2)),
        explains="top",
    ),
    "repetition": Kind(
        _highest("repetition"),
        "control",
        scored=False,
        drawn=False,
        facts=("repetition",),
        label="the {share} that repeat most",
        noun="rows that repeat most",
        colours={
            "remove": "#c51b7d",
            "insert": "#c994c7",
            "repeat": "#4d9221",
            "swap": "#78c679",
            "mask": "#5e3c99",
        },
        width=2.1,
        dashes=(0, (9, 2, 2, 2)),
        explains="top",
    ),
    "lexical": Kind(
        _highest("lexical"),
        "control",
        drawn=False,
        facts=("lexical",),
        keys=("disjoint",),
        label="the {share} most like the probe's rows in words (BM25)",
        noun="rows most like the probe's in words",
        colours={"remove": "#bf812d", "insert": "#807dba", "repeat": "#1b7837"},
        width=2.1,
        dashes=(0, (9, 2, 2, 2, 2, 2)),
        explains="top",
    ),
    "gradient_norm": Kind(
        _highest("gradient_norm"),
        "control",
        drawn=False,
        facts=("gradient_norm",),
        keys=("disjoint",),
        label="the {share} with the largest gradients of the head",
        noun="rows with the largest gradients of the head",
        colours={"remove": "#67001f", "insert": "#969696", "repeat": "#7fbc41"},
        width=1.9,
        dashes=(0, (5, 1, 1, 1)),
        explains="top",
    ),
    "gradient_dot": Kind(
        _highest("gradient_dot"),
        "control",
        drawn=False,
        facts=("gradient_dot",),
        keys=("disjoint",),
        label="the top {share} without a Hessian",
        noun="top rows without a Hessian",
        colours={"remove": "#f46d43", "insert": "#636efa", "repeat": "#66bd63"},
        width=1.9,
        dashes=(0, (5, 1, 1, 1, 1, 1)),
        explains="top",
    ),
    # Fresh rows after the skeletons that the top rows repeat (docs/catalysts.md).
    "motifs": Kind(
        _written,
        "judged",
        scored=False,
        written=True,
        rivals=("top",),
        keys=WRITTEN_KEYS,
        required=("target",),
        label="{share} of rows written after motifs",
        noun="rows after motifs",
        colours={"generate": "#d7301f"},
        width=2.7,
        dashes="solid",
    ),
    # As those, but no slot is filled as it was before: what repeats in the slots is
    # told from what the skeletons say.
    "shuffled": Kind(
        _written,
        "control",
        scored=False,
        written=True,
        keys=WRITTEN_KEYS,
        required=("target",),
        label="{share} of rows after motifs whose slots do not repeat",
        noun="rows after motifs whose slots do not repeat",
        colours={"generate": "#0570b0"},
        width=2.2,
        dashes=(0, (7, 1.6, 1.4, 1.6)),
        explains="motifs",
    ),
    # Repetition of the same period and nothing else.
    "records": Kind(
        _written,
        "control",
        scored=False,
        written=True,
        keys=WRITTEN_KEYS,
        required=("target",),
        label="{share} of random tokens repeated over the motifs' lengths",
        noun="rows of repeated random tokens",
        colours={"generate": "#41ab5d"},
        width=2.2,
        dashes=(0, (1.4, 2)),
        explains="motifs",
    ),
}
