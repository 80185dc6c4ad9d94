"""Documents of a Pile shard (`.jsonl.zst`), streamed: one line in memory at a time.

A small file may unpack to anything, so what comes without an end is an error: a line of
more than `LONGEST_LINE` bytes, and more than `BARREN_LINES` lines or `BARREN_BYTES`
bytes one after another without a document.
"""

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from headwater.corpus.domains import NO_LABEL
from headwater.errors import HeadwaterError
from headwater.progress import Progress
from headwater.unreadable import unreadable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LONGEST_LINE = 1 << 27  # bytes; so that a document fits into a job's memory many times
BARREN_LINES, BARREN_BYTES = 1 << 20, 1 << 30

TITLE_KEYS = ("title", "url")
LONGEST_TITLE = 200  # characters

_BLOCK_BYTES = 1 << 17
_BUFFER_BYTES = 1 << 16  # of decompressed text
# Shards made with `zstd --long` need a larger window than the default.
_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 31}
_TOLD = 1 << 14  # lines without a document between two looks at the clock
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """One document: its line number (from 1), text (no lone surrogates) and domain.

    The title is empty where the line has none, see `title_of`.
    """

    line: int
    text: str
    domain: str
    title: str = ""


@dataclass
class Tally:
    """What a reader met so far.

    Attributes:
        documents: documents yielded.
        empty_documents: documents without a character; not yielded.
        lone_surrogates: characters replaced by U+FFFD.
        skipped: lines left out, by reason.
    """

    documents: int = 0
    empty_documents: int = 0
    lone_surrogates: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class DocumentReader:
    """Iterates over the documents of a shard.

    Args:
        on_bad_line: "fail" (a bad line is an error) or "skip" (it is counted).

    Attributes:
        tally: counts of the lines read so far.
        bytes_read: compressed bytes read so far.
    """

    def __init__(self, path: Path, on_bad_line: str) -> None:
        self.path, self.on_bad_line = path, on_bad_line
        self.tally = Tally()
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents that are not empty, in file order.

        Raises:
            HeadwaterError: a truncated, damaged or empty file, or one of another
                encoding; a line too long, or too many blank ones; a bad line if
                `on_bad_line` is "fail".
        """
        barren = _Barren(self.path)
        for number, line in enumerate(self._lines(), start=1):
            if number == 1:
                self._check_encoding(line)
            text = line.removeprefix(_BYTE_ORDER_MARK)
            document = self._document(number, text) if text.strip() else None
            if document is not None and document.text:
                self.tally.documents += 1
                yield document
                barren.reset()
                continue
            if document is not None:
                self.tally.empty_documents += 1
            barren.add(number, len(line) + 1)

    def _check_encoding(self, line: bytes) -> None:
        encoding = json.detect_encoding(line)
        if not encoding.startswith("utf-8"):
            raise HeadwaterError(
                f"{self.path}: text in {encoding.upper()}, but JSON lines are UTF-8; "
                "convert it (iconv -t UTF-8), and compress it again"
            )

    def _document(self, number: int, line: bytes) -> Document | None:
        try:
            text, domain, title = _parse(line)
        except _BadLineError as bad:
            if self.on_bad_line == "skip":
                self.tally.skipped[bad.reason] += 1
                return None
            raise HeadwaterError(
                f"{self.path}: line {number}: {bad}; repair the line, or set "
                "corpus.on_bad_line to skip"
            ) from None
        if b"\\u" in line:  # raw UTF-8 cannot hold a surrogate, only an escape can
            text, replaced = _LONE_SURROGATE.subn("\ufffd", text)
            domain = _LONE_SURROGATE.sub("\ufffd", domain)
            title = _LONE_SURROGATE.sub("\ufffd", title)
            self.tally.lone_surrogates += replaced
        return Document(number, text, domain, title)

    def _lines(self) -> Iterator[bytes]:
        """The lines, which end with a newline only; blank ones too, to keep count."""
        count = 0
        try:
            with (
                _Blocks(self.path) as file,
                io.BufferedReader(
                    _Shard(file, options=_OPTIONS), _BUFFER_BYTES
                ) as lines,
            ):
                for line in iter(partial(lines.readline, LONGEST_LINE + 1), b""):
                    self.bytes_read = file.count
                    count += 1
                    if len(line) > LONGEST_LINE:
                        raise self._too_long(count)
                    yield line.removesuffix(b"\n")
        except EOFError as error:
            if not file.count:
                raise unreadable(self.path, error) from None
            raise HeadwaterError(
                f"{self.path}: the file is truncated; its last whole line is "
                f"{count}. Copy or download it again"
            ) from None
        except (zstd.ZstdError, OSError, MemoryError) as error:
            raise self._unreadable(error) from error
        if not file.count:
            raise unreadable(self.path, "nothing in it")

    def _too_long(self, number: int) -> HeadwaterError:
        return HeadwaterError(
            f"{self.path}: line {number:,}: longer than {LONGEST_LINE:,} bytes; give "
            "one document a line, and cut longer ones"
        )

    def _unreadable(self, error: Exception) -> HeadwaterError:
        if isinstance(error, MemoryError) or "memory" in str(error):
            return HeadwaterError(
                f"{self.path}: not enough memory to unpack it; compress it again "
                "without zstd --long (which asks for up to 2 GiB here, too), or run "
                "where there is more"
            )
        return unreadable(self.path, error)


class _Barren:
    """Lines one after another without a document: counted, told, and bounded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._progress = Progress(f"reading {path.name}", None, "lines left out")
        self.reset()

    def reset(self) -> None:
        self._lines = self._bytes = 0

    def add(self, number: int, size: int) -> None:
        self._lines += 1
        self._bytes += size
        if self._lines % _TOLD == 0:
            self._progress.update(_TOLD)
        if self._lines > BARREN_LINES or self._bytes > BARREN_BYTES:
            raise HeadwaterError(
                f"{self._path}: line {number:,}: no document in the last "
                f"{self._lines:,} lines ({self._bytes:,} bytes); the file is not what "
                "it should be, make or download it again"
            )


class _Blocks(io.FileIO):
    """A file read in blocks of one size, whatever size is asked for, and counted.

    A tokenizer's training text depends on how far its reader is, and the size that
    Python's own reader asks for is not the same in all versions.
    """

    count = 0  # bytes

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(_BLOCK_BYTES)
        self.count += len(data)
        return data


class _Shard(zstd.ZstdFile):
    """Gives what one block holds, so that no line before a cut is lost in a buffer."""

    readinto = zstd.ZstdFile.readinto1


class _BadLineError(Exception):
    """A line that is not a document; `reason` is the class it is counted under."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason


def _parse(line: bytes) -> tuple[str, str, str]:
    """Text, domain and title of a line.

    Raises:
        _BadLineError: the line is not UTF-8, not JSON, or has no text, or its label is
            the name that stands for none.
    """
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadLineError("invalid UTF-8", f"byte {error.start + 1}") from None
    except (ValueError, RecursionError) as error:
        raise _BadLineError("broken JSON", str(error)) from None
    if not isinstance(value, dict):
        raise _BadLineError("not a JSON object", f"found {_kind(value)}")
    if "text" not in value:
        raise _BadLineError('no "text"')
    if not isinstance(value["text"], str):
        raise _BadLineError('"text" is not a string', f"found {_kind(value['text'])}")
    meta = value.get("meta")
    name = meta.get("pile_set_name") if isinstance(meta, dict) else None
    if not isinstance(name, str) or not name.strip():
        return value["text"], NO_LABEL, title_of(value)
    if name == NO_LABEL:
        detail = f"{NO_LABEL!r} stands for documents without a label"
        raise _BadLineError('"pile_set_name" is a reserved name', detail)
    return value["text"], name, title_of(value)


def title_of(value: Mapping[str, Any]) -> str:
    """The title of a line's document, on one line; empty where it has none.

    The first of `TITLE_KEYS` that has words, in the line itself, its `meta` or its
    `metadata`.
    """
    metas = [value.get(name) for name in ("meta", "metadata")]
    places = [value, *(meta for meta in metas if isinstance(meta, dict))]
    for key in TITLE_KEYS:
        for place in places:
            title = place.get(key)
            if isinstance(title, str) and (words := " ".join(title.split())):
                return words[:LONGEST_TITLE]
    return ""


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "number")
