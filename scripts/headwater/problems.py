"""One problem in a config: where it is, and what to say about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headwater.errors import HeadwaterError

Key = tuple[str | int, ...]

LONGEST_VALUE = 60


class ConfigError(HeadwaterError):
    """A config that cannot be run. One line for each problem."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one key.

    Attributes:
        key: where, e.g. ("corpus", "shards", 0).
        text: what is wrong and what to do.
        meant: the key that was probably meant, for a misspelt one.
    """

    key: Key
    text: str
    meant: Key | None = None

    def __str__(self) -> str:
        steps = (
            f"[{part}]" if isinstance(part, int) else f".{printable(part)}"
            for part in self.key
        )
        return f"{''.join(steps).removeprefix('.')}: {one_line(self.text)}"


def touches(keys: Iterable[Key], key: Key) -> bool:
    """Whether one of `keys` is `key`, lies inside it or contains it."""
    return any(all(a == b for a, b in zip(other, key, strict=False)) for other in keys)


def show(value: Any) -> str:
    """A value as a person would have to write it, or what kind of value it is."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section" if value else "an empty section"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, int) and abs(value) >= 10**LONGEST_VALUE:
        return f"a number of more than {LONGEST_VALUE} digits"
    return printable(str(value))


def printable(text: str) -> str:
    """A name or value for a message, on one line and not too long."""
    whole = len(text) <= LONGEST_VALUE
    return one_line(text if whole else text[:LONGEST_VALUE] + "...")


def one_line(text: str) -> str:
    """Text in which every character prints: line ends and others are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
