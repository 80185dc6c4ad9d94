"""A question to a finished experiment, before anything is read: free of torch."""

from dataclasses import dataclass
from typing import Any

from headwater.units import Unit


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        unit: of which.
        probe: a name of `probes`; None where rows like one are wanted.
        data: a file of rows, for the probes that are asked on one.
        damping: relative to the mean eigenvalue.
        name: of the config's target that it was taken from, or "".
    """

    unit: Unit
    probe: str | None
    data: str | None
    damping: float
    name: str = ""

    @property
    def target(self) -> dict[str, Any] | None:
        """The probe as under `targets` in the config; None without one."""
        if self.probe is None:
            return None
        return {"probe": self.probe, **({"data": self.data} if self.data else {})}
