"""Numbers and columns as the page holds them."""

import base64
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

DIGITS = 5  # significant ones, of every number in the page
_TYPES = {
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "i8": np.int8,
    "f32": np.float32,
}


def rounded(value: Any) -> float | int | None:
    """A number with a few significant digits; None for one that is not finite."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    if not np.isfinite(value):
        return None
    short = float(f"{float(value):.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def each(values: Iterable[Any]) -> list[float | int | None]:
    """`rounded`, of each."""
    return [rounded(value) for value in values]


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no tag can begin in it.

    Anything but ASCII is escaped, lone surrogates too.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@dataclass(frozen=True)
class Column:
    """One column of the rows, ready for the page.

    Attributes:
        name: what stands after `col-` in the element's id.
        kind: of its values, such as `u16`.
        shape: the first is the number of rows, or of items.
        text: base64 of gzip of the little-endian values, in C order.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    text: str

    @staticmethod
    def of(name: str, kind: str, values: np.ndarray) -> "Column":
        """Pack an array.

        Raises:
            ValueError: a value does not fit the kind.
        """
        array = np.asarray(values)
        packed = array.astype(np.dtype(_TYPES[kind]).newbyteorder("<"))
        if kind != "f32" and not np.array_equal(packed, array):
            raise ValueError(f"column {name}: values that do not fit {kind}")
        squeezed = gzip.compress(packed.tobytes(), 9, mtime=0)
        text = base64.b64encode(squeezed).decode("ascii")
        return Column(name, kind, packed.shape, text)

    @property
    def size(self) -> str:
        """The shape as the element says it."""
        return ",".join(map(str, self.shape))


def unpacked(kind: str, shape: str, text: str) -> np.ndarray:
    """The values of a column's element, as the page reads them."""
    raw = gzip.decompress(base64.b64decode(text))
    dtype = np.dtype(_TYPES[kind]).newbyteorder("<")
    return np.frombuffer(raw, dtype).reshape([int(n) for n in shape.split(",")])
