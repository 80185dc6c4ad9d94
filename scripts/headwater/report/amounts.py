"""Numbers of the arms as text, in sentences and in the summary's table."""

import numpy as np

from headwater.report.findings import Arm, Spread


def number(value: float) -> str:
    """A score or loss with two decimals; `unknown` if there is none."""
    return f"{value:z.2f}" if np.isfinite(value) else "unknown"


def between(spread: Spread, form: str = "z.2f", unit: str = "") -> str:
    """The range of a spread, or its one value."""
    if not spread.known:
        return "unknown"
    low, high = (format(value, form) for value in (spread.low, spread.high))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def area(spread: Spread) -> str:
    """An area ratio as a percentage of the baseline's."""
    share = Spread(100 * spread.low, 100 * spread.mean, 100 * spread.high)
    return between(share, "z.0f", " %")


def change(spread: Spread) -> str:
    """A change, with its sign."""
    return between(spread, "+z.2f")


def half_way(arm: Arm) -> str:
    """How the onset shifts; runs without one are counted, not left out."""
    told = []
    if arm.reached:
        some = Spread(arm.shift.low, arm.shift.low, arm.shift.high)
        told.append(between(some, "+z.0f"))
    for count, what in ((arm.never, "never"), (arm.above, "above from the start")):
        if count:
            all_runs = count == arm.draws
            told.append(what if all_runs else f"{what} in {count} of {arm.draws}")
    return ", ".join(told) or "unknown"
