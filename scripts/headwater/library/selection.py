"""Which rows are exported, and how they are called."""

import re
from dataclasses import dataclass

import numpy as np

from headwater.errors import HeadwaterError
from headwater.interventions.slopes import reweights
from headwater.interventions.tokens import masks
from headwater.library.results import Results
from headwater.library.retrained import FRESH, arm_and_draw
from headwater.report.visible import plain

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Selection:
    """Rows in the order in which they are written.

    Attributes:
        rows: their global numbers, int64 [n]; a row may come twice.
        told: which they are, in words.
        target: whose scores stand beside them; None if the run has none.
    """

    rows: np.ndarray
    told: str
    target: str | None


def by_score(run: Results, target: str, amount: str, highest: bool) -> Selection:
    """The rows of the window with the highest scores, the highest first; or the lowest.

    Args:
        amount: a share of the window's rows such as `10%`, or a number of rows.

    Raises:
        HeadwaterError: no such amount, or no row.
    """
    name = run.target_name(target)
    ranked = run.scores(name).sort_values("rank", ascending=highest)
    count = count_of(amount, len(ranked))
    end = "highest" if highest else "lowest"
    told = f"the {count:,} {end} of {len(ranked):,} rows by {of_target(run, name)}"
    return Selection(ranked["row"].to_numpy()[:count], told, name)


def count_of(amount: str, rows: int) -> int:
    """How many of some rows an amount is; a share is rounded as that of an arm."""
    share = _SHARE.fullmatch(amount.strip())
    if share and float(share[1]) <= 100:
        count = round(float(share[1]) / 100 * rows)
    elif amount.strip().isdecimal():
        count = int(amount)
    else:
        raise HeadwaterError(
            f"{plain(amount)!r}: expected a share of the rows such as 10%, or a number "
            "of rows"
        )
    if not 1 <= count <= rows:
        raise HeadwaterError(
            f"{plain(amount)}: that is {count:,} rows; the window has {rows:,}"
        )
    return count


def listed(run: Results, text: str, target: str | None) -> Selection:
    """Rows by their numbers, in the order given.

    Args:
        text: numbers and ranges with both ends, such as `7819,9000-9009`.

    Raises:
        HeadwaterError: not such a list.
    """
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,18})(?:\s*-\s*(\d{1,18}))?\s*", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        last = min(last, first + len(run.training))
        if last < first:
            raise HeadwaterError(
                f"--rows {plain(part)!r}: expected numbers and ranges of rows, such as "
                "7819,9000-9009"
            )
        found.extend(range(first, last + 1))
    rows = np.array(found, np.int64)
    if outside := [row for row in found if row not in run.training]:
        raise HeadwaterError(
            f"row {outside[0]:,}: the training order has rows 0 to "
            f"{len(run.training) - 1:,}"
        )
    return Selection(rows, f"{len(rows):,} rows by number", _scored(run, target))


def of_arm(
    run: Results, arm: str, target: str | None, whole: bool = False
) -> Selection:
    """The data set of an arm, in the order in which it trains on it.

    A removed row is left out, and one that counts twice stands twice.

    Args:
        arm: its name, or that of one of its runs.
        whole: with the rows before the window and after it, as the config's training
            has them.

    Raises:
        HeadwaterError: the arm masks tokens or lowers weights, which no list of rows
            can tell, or has rows that were written afresh, which have no number.
    """
    name, _ = arm_and_draw(arm, 0, run.arms)
    masked, reweighted = (does(run.arms[name]) for does in (masks, reweights))
    if masked or reweighted:
        which = "losses of masked tokens" if masked else "weight that they lose"
        raise HeadwaterError(
            f"{name}: it trains on all rows, but for the {which}; "
            "export an arm that removes, repeats or inserts rows"
        )
    table = run.arm_rows(arm)
    if many := int((table["row"] == FRESH).sum()):
        raise HeadwaterError(
            f"{plain(arm)}: {many:,} of its rows were written afresh and stand in no "
            "corpus; `arm_rows` says where, and generate.py writes such rows to a file"
        )
    rows = np.repeat(table["row"].to_numpy(), table["weight"].to_numpy().astype(int))
    window, every = run.rows, run.training
    told = f"the {len(rows):,} rows of {plain(arm)} in the window, in training order"
    if whole:
        before = np.arange(window.start)
        after = np.arange(window.stop, every.stop)
        rows = np.concatenate([before, rows, after])
        told = f"the {len(rows):,} rows of {plain(arm)}, in training order"
    ranked_for = target or run.arms[name].get("target")
    return Selection(rows, told, _scored(run, ranked_for))


def of_target(run: Results, name: str) -> str:
    """A target with all that its scores depend on, in words."""
    target, points = run.targets[name], ", ".join(f"{step:,}" for step in run.points)
    damping = run.config["influence"]["damping"]
    return (
        f"{plain(name)} ({target.name}, probe {target.probe}, damping {damping:g}, "
        f"scored at step {points})"
    )


def _scored(run: Results, target: str | None) -> str | None:
    """The target whose scores stand beside rows; the window's, if it has some."""
    if target is None and not run.has(f"influence/{run.main}.zarr"):
        return None
    return run.target_name(target)
