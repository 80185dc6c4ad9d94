"""The checkpoints of a window at which influence is measured, by role.

Which steps they are is known only when the window has been found, so paths carry roles.
"""

from collections.abc import Mapping
from typing import Any


def point_names(window: Mapping[str, Any]) -> list[str]:
    """`start`, `point1`, `point2`, ..., or `end` alone.

    Args:
        window: the config's section `window`.
    """
    if window["score_at"] == "end":
        return ["end"]
    return ["start", *(f"point{i}" for i in range(1, window["checkpoints"]))]
