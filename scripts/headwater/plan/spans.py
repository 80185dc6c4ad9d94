"""Ranges of estimates."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A quantity between two bounds, none negative."""

    low: float
    high: float

    @staticmethod
    def exactly(value: float) -> "Span":
        """A quantity that is known."""
        return Span(value, value)

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Span | float") -> "Span":
        if isinstance(other, Span):
            return Span(self.low * other.low, self.high * other.high)
        return Span(self.low * other, self.high * other)

    def per(self, rate: "Span") -> "Span":
        """Time that this takes at a rate."""
        return Span(self.low / rate.high, self.high / rate.low)

    @property
    def middle(self) -> float:
        """The geometric mean, that of the magnitudes."""
        return (self.low * self.high) ** 0.5


NOTHING = Span(0.0, 0.0)


def total(spans: "list[Span]") -> Span:
    """The sum of some spans."""
    return Span(sum(s.low for s in spans), sum(s.high for s in spans))
