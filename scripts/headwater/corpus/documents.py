"""Documents of a Pile shard (`.jsonl.zst`), streamed: one line in memory at a time."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from headwater.errors import HeadwaterError

UNKNOWN_DOMAIN = "unknown"

_READ_BYTES = 1 << 16
_END = b"end of the shard"
_LARGEST_WINDOW = 1 << 31  # shards made with `zstd --long` need more than the default
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """One document: its line number (from 1), text (no lone surrogates) and domain."""

    line: int
    text: str
    domain: str


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
        path: the `.jsonl.zst` file.
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
            HeadwaterError: a truncated, damaged or empty file; a bad line if
                `on_bad_line` is "fail".
        """
        for number, line in enumerate(self._lines(), start=1):
            document = self._document(number, line) if line.strip() else None
            if document is None:
                continue
            if not document.text:
                self.tally.empty_documents += 1
                continue
            self.tally.documents += 1
            yield document

    def _document(self, number: int, line: bytes) -> Document | None:
        try:
            text, domain = _parse(line)
        except _BadLineError as bad:
            self._refuse_or_count(number, bad)
            return None
        if b"\\u" in line:  # raw UTF-8 cannot hold a surrogate, only an escape can
            text, replaced = _LONE_SURROGATE.subn("\ufffd", text)
            domain = _LONE_SURROGATE.sub("\ufffd", domain)
            self.tally.lone_surrogates += replaced
        return Document(number, text, domain)

    def _refuse_or_count(self, number: int, bad: "_BadLineError") -> None:
        if self.on_bad_line == "skip":
            self.tally.skipped[bad.reason] += 1
            return
        raise HeadwaterError(
            f"{self.path}: line {number}: {bad}; repair the line, or set "
            "corpus.on_bad_line to skip"
        ) from None

    def _lines(self) -> Iterator[bytes]:
        """The lines without their newline; blank lines too, to keep count."""
        parts: list[bytes] = []
        whole_lines = 0
        try:
            for piece in self._pieces():
                *ends, rest = piece.split(b"\n")
                for end in ends:
                    line = b"".join((*parts, end))
                    parts.clear()
                    yield line
                    whole_lines += 1
                parts.append(rest)
        except _TruncatedError:
            raise HeadwaterError(
                f"{self.path}: the file is truncated; its last whole line is "
                f"{whole_lines}. Copy or download it again"
            ) from None
        if last := b"".join(parts):
            yield last
        elif not whole_lines:
            raise HeadwaterError(
                f"{self.path}: the file is empty; remove or replace it"
            )

    def _pieces(self) -> Iterator[bytes]:
        """Decompressed bytes, a bounded number at a time."""
        held = b""
        with self.path.open("rb") as file:
            source = _MarkedFile(file)
            try:
                reader = zstandard.ZstdDecompressor(
                    max_window_size=_LARGEST_WINDOW
                ).stream_reader(cast(BinaryIO, source), read_across_frames=True)
                while data := reader.read(_READ_BYTES):
                    self.bytes_read = source.bytes_read
                    held += data
                    yield held[: -len(_END)]
                    held = held[-len(_END) :]
            except (zstandard.ZstdError, OSError) as error:
                if source.ended:
                    raise _TruncatedError from error
                raise HeadwaterError(
                    f"{self.path}: not a readable .zst file ({error}); copy or "
                    "download it again"
                ) from error
        if held != _END:
            raise _TruncatedError


class _MarkedFile:
    """A compressed file with one more frame after its end, which holds `_END`.

    zstandard reports no error for a file that was cut; but `_END` comes out at the end
    only if the frames before it are whole.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._mark = zstandard.ZstdCompressor().compress(_END)
        self.bytes_read = 0
        self.ended = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.bytes_read += len(data)
        if data:
            return data
        self.ended = True
        # Byte by byte: given a whole frame at once, zstd decodes it even where the
        # header of another frame was cut.
        data, self._mark = self._mark[:1], self._mark[1:]
        return data


class _BadLineError(Exception):
    """A line that is not a document; `reason` is the class it is counted under."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason


class _TruncatedError(Exception):
    """The file ends inside a compressed frame."""


def _parse(line: bytes) -> tuple[str, str]:
    """Text and domain of a line.

    Raises:
        _BadLineError: the line is not UTF-8, not JSON, or has no text.
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
    return value["text"], _domain(value.get("meta"))


def _domain(meta: Any) -> str:
    name = meta.get("pile_set_name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) and name else UNKNOWN_DOMAIN


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "number")
