"""Columns that are too much for one file: each in a script of its own beside the page.

A page that was opened from a disk may load no file but scripts, images and the like; so
a column in a file of its own is a script that hands its text to the page. The page's
policy lets scripts run that bear its key, and the key is a digest of all the page's
data: no text in that data can hold it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.report.page.values import Column

MOST = 15_000_000  # bytes of the data in the page itself
FOLDER = "data"
RECEIVER = "headwaterColumn"  # the page's function; see ui/src/data/beside.ts


@dataclass(frozen=True)
class Chunks:
    """The page's columns by where they stand.

    Attributes:
        inside: in the page.
        beside: in files of `FOLDER`.
        key: that these files and the page have in common.
    """

    inside: list[Column]
    beside: list[Column]
    key: str

    def files(self) -> dict[str, str]:
        """The scripts by name."""
        return {
            file_of(column): f"{RECEIVER}({_words(self.key, column)});\n"
            for column in self.beside
        }


def chunks(columns: Sequence[Column], text: str, most: int = MOST) -> Chunks:
    """Divide the columns: each stays in the page if it fits beside those before it.

    Args:
        columns: those that are needed first come first.
        text: the other data of the page.
        most: bytes of all that the page holds.
    """
    inside: list[Column] = []
    beside: list[Column] = []
    left = most - len(text)
    for column in columns:
        fits = len(column.text) <= left
        (inside if fits else beside).append(column)
        left -= len(column.text) if fits else 0
    digest = hashlib.sha256(text.encode("utf-8"))
    for column in columns:
        digest.update(f"{column.name} {column.size} {column.text}".encode())
    return Chunks(inside, beside, digest.hexdigest()[:32])


def file_of(column: Column) -> str:
    """The name of a column's file."""
    return f"{column.name}.js"


def _words(key: str, column: Column) -> str:
    return ", ".join(json.dumps(word) for word in (key, column.name, column.text))
