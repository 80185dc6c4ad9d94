"""The arms of the causal test: what an arm does (`ACTIONS`) with its rows (`kinds`).

An arm is, for every position of the window, the row trained there and its weight:

    remove   the picked rows get weight 0; the divisor of the loss stays
    repeat   the picked rows get weight 2, in place
    insert   random other positions train copies of the picked rows instead of their own
    generate the same with rows that were written afresh
    mask     picked tokens get weight 0, and their rows are read as they are (`tokens`)
    reweight all rows lose weight in proportion to their scores (`slopes`)
    swap     the picked rows, all of one part of the window, change places with random
             rows of another part; every row is trained once

With `at` inserted and generated rows stand one after the other from a step on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headwater.errors import HeadwaterError
from headwater.interventions.facts import Picked, RowFacts, random_rows
from headwater.interventions.files import ArmRows
from headwater.interventions.kinds import KINDS
from headwater.interventions.places import Places
from headwater.interventions.slopes import SLOPES, reweights
from headwater.interventions.tokens import MASKS, masks


@dataclass(frozen=True)
class Action:
    """What an arm does with its rows, and how that is told.

    Attributes:
        change: changes the rows and weights of the window as it was trained; None if
            it does not pick rows, but tokens or weights.
        label: in a legend, of `{rows}`.
        doing: at the beginning of a sentence, of `{rows}`.
        note: what a figure must add to the label.
        most: of the window's rows, for a reason that the config's check tells.
        reason: why no more.
        keys: of an arm's own keys, those that it takes.
        required: those of them that it cannot do without.
        beside: actions whose arms are controls of its own, besides the same.
    """

    change: Callable[[ArmRows, Places | None, np.random.Generator], None] | None
    label: str
    doing: str
    note: str = ""
    most: float = 1.0
    reason: str = ""
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def verb(self) -> str:
        """What is done, such as `inserting`."""
        return self.doing.split()[0]


def _remove(arm: ArmRows, _: Places | None, __: np.random.Generator) -> None:
    arm.weights[arm.picked] = 0.0


def _insert(arm: ArmRows, at: Places | None, generator: np.random.Generator) -> None:
    if at is None:
        others = np.setdiff1d(arm.rows, arm.picked)
        at = random_rows(others, len(arm.picked), generator)
    arm.rows[at] = generator.permutation(arm.picked)


def _repeat(arm: ArmRows, _: Places | None, __: np.random.Generator) -> None:
    arm.weights[arm.picked] = 2.0


def _swap(arm: ArmRows, to: Places | None, generator: np.random.Generator) -> None:
    assert to is not None, "the config check requires a part of the window for this"
    others = random_rows(to, len(arm.picked), generator)
    moved = generator.permutation(arm.picked)
    arm.rows[others], arm.rows[moved] = moved, others


ACTIONS = {
    "remove": Action(_remove, "remove {rows}", "removing {rows}"),
    "insert": Action(
        _insert,
        "insert copies of {rows}",
        "inserting copies of {rows}",
        note="Inserted copies stand in place of random other rows",
        most=0.5,
        reason="insert puts each copy in place of another row",
        keys=("at",),
    ),
    "generate": Action(
        _insert,
        "insert {rows}",
        "inserting {rows}",
        note="Rows written afresh stand in place of others",
        keys=("at",),
        beside=("insert",),
    ),
    "swap": Action(
        _swap,
        "move {rows}",
        "moving {rows}",
        note="Moved rows change places with random rows: all are trained on once",
        keys=("from", "to"),
        required=("from", "to"),
    ),
    "mask": Action(
        None,
        "mask {rows}",
        "masking {rows}",
        note="Masked tokens are read, but their losses do not count",
    ),
    "reweight": Action(
        None,
        "reweight {rows}",
        "reweighting {rows}",
        note="Reweighted rows lose in all as much weight as removed ones",
    ),
    "repeat": Action(_repeat, "count {rows} twice", "repeating {rows}"),
}


def rows_label(arm: Mapping[str, Any]) -> str:
    """The rows or tokens of an arm in a legend, as `Kind.label` has them."""
    if reweights(arm):
        return SLOPES[arm["rows"]].label
    return (MASKS if masks(arm) else KINDS)[arm["rows"]].label


def pick_rows(
    kind: str, count: int, facts: RowFacts, generator: np.random.Generator
) -> Picked:
    """The rows an arm changes, ascending.

    Args:
        kind: one of `KINDS`.
        count: how many.
        facts: of the window's rows.
        generator: makes the draw.

    Raises:
        HeadwaterError: no row to pick, or more than there are.
    """
    if count == 0:
        raise HeadwaterError(
            f"arm: its fraction of the window's {len(facts.domains)} rows is not one "
            "row; raise it"
        )
    return KINDS[kind].pick(facts, count, generator)


def overlap(kind: str, picked: Picked, facts: RowFacts) -> float | None:
    """Share of the picked rows that are also of the kind that theirs explains, if any.

    As many rows of that kind are meant as were picked.
    """
    explained = KINDS[kind].explains
    if not (explained and KINDS[kind].scored):
        return None
    # Kinds that are explained do not draw: any generator gives the same rows.
    others = KINDS[explained].pick(facts, len(picked), np.random.default_rng(0))
    return len(np.intersect1d(picked, others)) / len(picked)


def arm_rows(
    action: str,
    picked: Picked,
    total: int,
    generator: np.random.Generator,
    places: Places | None = None,
) -> ArmRows:
    """Turn picked rows into what is trained at every position of the window.

    Args:
        action: one of `ACTIONS`.
        picked: row numbers from the window's first row, ascending.
        total: rows of the window.
        generator: chooses the positions that rows are put at, and their order.
        places: the positions, where they are not to be chosen, or those of a part of
            the window that they are chosen of (`places_of`).
    """
    rows = np.arange(total, dtype=np.int64)
    arm = ArmRows(rows, np.ones(total, np.float32), picked)
    change = ACTIONS[action].change
    assert change is not None, "of tokens and weights see `tokens` and `slopes`"
    change(arm, places, generator)
    return arm


def reordered(arm: ArmRows, generator: np.random.Generator) -> ArmRows:
    """The same rows with their weights, at other positions of the window."""
    order = generator.permutation(len(arm.rows))
    return replace(arm, rows=arm.rows[order], weights=arm.weights[order])
