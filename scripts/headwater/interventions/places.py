"""Where in the window an arm puts its rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from headwater.corpus.window import WindowNumbers
from headwater.errors import HeadwaterError

Places = Int64[np.ndarray, " places"]  # positions of the window, ascending


def place_of(arm: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an arm says of its rows' places; only arms of the same can be compared."""
    return (arm.get("at"),)


def places_of(
    arm: Mapping[str, Any], window: WindowNumbers, count: int
) -> Places | None:
    """The positions that an arm's rows are put at; None for random ones.

    Args:
        arm: its entry in the config.
        count: rows.

    Raises:
        HeadwaterError: so many do not fit between the step and the window's end.
    """
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
