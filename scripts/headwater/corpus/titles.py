"""Titles of documents: kept with the packed rows of their source, by line."""

from array import array
from pathlib import Path

import numpy as np
import zarr
from jaxtyping import Int64

from headwater import stores
from headwater.identity import Config

_LINES, _ENDS, _TEXT = "title_lines", "title_ends", "title_text"
_CHUNK = 1 << 24


class TitleWriter:
    """Collects the titles of a source, and writes them into its store.

    Memory holds their bytes.
    """

    def __init__(self) -> None:
        self._lines, self._ends = array("q"), array("q")
        self._text = bytearray()

    def add(self, line: int, title: str) -> None:
        """The title of a document; lines come in order, and an empty title is none."""
        if title:
            self._text += title.encode("utf-8")
            self._lines.append(line)
            self._ends.append(len(self._text))

    def write(self, group: zarr.Group) -> None:
        """Write them as three arrays."""
        for name, values in ((_LINES, self._lines), (_ENDS, self._ends)):
            stores.write_array(group, name, np.array(values, np.int64), _CHUNK)
        text = np.frombuffer(bytes(self._text), np.uint8)
        stores.write_array(group, _TEXT, text, _CHUNK)


def read_titles(
    path: Path, lines: Int64[np.ndarray, " documents"], config: Config
) -> dict[int, str]:
    """The titles of some documents of a source, by line; of those that have one.

    Args:
        path: the packed store.

    Raises:
        HeadwaterError: the store is missing, damaged or made under another config.
    """
    group = stores.open_group(path, config)
    known, ends = (stores.read(group, name) for name in (_LINES, _ENDS))
    wanted = np.flatnonzero(np.isin(known, lines))
    if not len(wanted):
        return {}
    text = stores.read(group, _TEXT).tobytes()
    begins = np.append(0, ends)[wanted]
    return {
        line: text[begin:end].decode("utf-8")
        for line, begin, end in zip(
            known[wanted].tolist(), begins.tolist(), ends[wanted].tolist(), strict=True
        )
    }
