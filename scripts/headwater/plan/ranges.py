"""Ranges of estimates."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """A quantity between two bounds, none negative."""

    low: float
    high: float

    @staticmethod
    def exactly(value: float) -> "Range":
        """A quantity that is known."""
        return Range(value, value)

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        if isinstance(other, Range):
            return Range(self.low * other.low, self.high * other.high)
        return Range(self.low * other, self.high * other)

    def per(self, rate: "Range") -> "Range":
        """Time that this takes at a rate."""
        return Range(self.low / rate.high, self.high / rate.low)

    @property
    def middle(self) -> float:
        """The geometric mean, that of the magnitudes."""
        return (self.low * self.high) ** 0.5


NOTHING = Range(0.0, 0.0)


def total(ranges: "list[Range]") -> Range:
    """The sum of some ranges."""
    return sum(ranges, NOTHING)


def longest(ranges: "list[Range]") -> Range:
    """The longest of some ranges."""
    return Range(max(s.low for s in ranges), max(s.high for s in ranges))
