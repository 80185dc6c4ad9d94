"""Where in the window an arm puts its rows, and of which part it takes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from headwater.corpus.window import WindowNumbers
from headwater.errors import HeadwaterError

Places = Int64[np.ndarray, " places"]  # positions of the window, ascending


def place_of(arm: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an arm says of its rows' places; only arms of the same can be compared."""
    return tuple(arm.get(key) for key in ("at", "from", "to"))


def moves_later(arm: Mapping[str, Any]) -> bool:
    """Whether an arm moves its rows to a later part of the window."""
    return "to" in arm and bool(arm["to"][0] >= arm["from"][1])


def part_of(share: tuple[float, float] | list[float], total: int) -> range:
    """The positions of a part of the window, from one share of it to another."""
    low, high = (round(end * total) for end in share)
    return range(low, high)


def taken_from(arm: Mapping[str, Any], total: int) -> range:
    """The rows of the window that an arm picks its own of.

    Args:
        arm: its entry in the config.
        total: rows of the window.
    """
    return part_of(arm.get("from", (0, 1)), total)


def places_of(
    arm: Mapping[str, Any], window: WindowNumbers, count: int
) -> Places | None:
    """The positions that an arm's rows are put at, or changed with; None for any.

    Args:
        arm: its entry in the config.
        count: rows.

    Raises:
        HeadwaterError: so many do not fit between the step and the window's end.
    """
    if "to" in arm:
        return np.array(part_of(arm["to"], len(window)), np.int64)
    if "at" not in arm:
        return None
    first = (arm["at"] - window.start) * window.batch_size
    if not 0 <= first <= first + count <= len(window):
        end = window.start + len(window) // window.batch_size
        raise HeadwaterError(
            f"arm: {count} rows from step {arm['at']} on are not all in the window, "
            f"steps {window.start} to {end}; change the arm's at, or lower its fraction"
        )
    return np.arange(first, first + count)
