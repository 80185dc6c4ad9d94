"""Remote bytes to a local file: resumed after a kill, with a record beside.

A fetched folder holds its data file and `fetched.json`, the record: for each part the
place (with the commit, for the hub), the server's ETag, the length of the whole file
there, which of its bytes were fetched, and the SHA-256 of what stands here.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError, again
from headwater.net.remote import RemoteFile
from headwater.progress import Progress
from headwater.publish import fsync_path, write_json

RECORD_NAME = "fetched.json"
SYNC_BYTES = 1 << 26  # a growing file is made sure about this often
_SHA256 = re.compile("[0-9a-f]{64}")


class GrowingFile:
    """A file that only grows, in steps that survive a kill.

    Beside the file stands `<name>.state.json`: how many bytes of it are sure, and what
    the writer needs to go on from there. What a killed writer left beyond is cut off.

    Args:
        path: the file; taken up where it stands if it exists.

    Attributes:
        state: of the last commit, {} at the beginning.
        size: bytes that are sure.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state_path = path.with_name(path.name + ".state.json")
        self.size, self.state = 0, {}
        if self._state_path.exists():
            known = json.loads(self._state_path.read_text(encoding="utf-8"))
            self.size, self.state = known["size"], known["state"]
        path.touch()
        os.truncate(path, self.size)
        self._handle = path.open("ab")

    @property
    def unsure(self) -> int:
        """Bytes written since the last commit."""
        return self._handle.tell() - self.size

    def write(self, data: bytes | memoryview) -> None:
        """Append; sure only after `commit`."""
        self._handle.write(data)

    def commit(self, state: dict[str, Any]) -> None:
        """Make all bytes so far sure, and remember what is needed to go on."""
        self._handle.flush()
        fsync_path(self.path)
        self.size, self.state = self._handle.tell(), state
        part = self._state_path.with_suffix(".part")
        text = json.dumps({"size": self.size, "state": state})
        part.write_text(text, encoding="utf-8")
        os.replace(part, self._state_path)

    def finish(self) -> None:
        """Close the file and forget its state: opened again, it begins anew."""
        self._handle.close()
        self._state_path.unlink(missing_ok=True)


def check_space(path: Path, wanted: int) -> None:
    """Refuse to begin what cannot fit: `wanted` bytes more.

    Raises:
        HeadwaterError: the disk has fewer bytes left.
    """
    free = shutil.disk_usage(path.parent).free
    if free < wanted:
        raise HeadwaterError(
            f"{path}: {wanted:,} bytes are to be fetched, but only {free:,} are free; "
            "free space, or run in a folder on a larger disk"
        )


def fetch_ranges(
    target: Path, parts: Iterable[tuple[RemoteFile, range]], label: str
) -> list[dict[str, Any]]:
    """Write ranges of remote files one after the other into a local file.

    Args:
        target: the file; what it holds already is not fetched again. The caller sees to
            it that it was begun for the same parts (see `publish_folder`).
        parts: files and which of their bytes.

    Returns:
        The record of each part.

    Raises:
        HeadwaterError: see `RemoteFile.stream`; or what came is not what the hub has.
    """
    parts = list(parts)
    file = GrowingFile(target)
    total = sum(len(wanted) for _, wanted in parts)
    check_space(target, total - file.size)
    progress = Progress(label, total, "bytes", done=file.size)
    begin = 0
    for remote, wanted in parts:
        start = min(wanted.start + max(0, file.size - begin), wanted.stop)
        for piece in remote.stream(start, wanted.stop):
            file.write(piece)
            progress.update(len(piece))
            if file.unsure >= SYNC_BYTES:
                file.commit({})
        file.commit({})
        begin += len(wanted)
    try:
        return _records(target, parts)
    finally:
        file.finish()


def _records(
    target: Path, parts: list[tuple[RemoteFile, range]]
) -> list[dict[str, Any]]:
    records = []
    with target.open("rb") as handle:
        for remote, wanted in parts:
            digest, left = hashlib.sha256(), len(wanted)
            while left and (piece := handle.read(min(left, 1 << 20))):
                digest.update(piece)
                left -= len(piece)
            _compare(remote, wanted, digest.hexdigest(), left)
            records.append(
                {
                    **remote.identity,
                    "first_byte": wanted.start,
                    "bytes": len(wanted),
                    "sha256": digest.hexdigest(),
                }
            )
    return records


def _compare(remote: RemoteFile, wanted: range, digest: str, missing: int) -> None:
    """The hub's ETag of a large file is its SHA-256: compare, if all of it was fetched.

    Raises:
        HeadwaterError: they differ, or bytes are missing.
    """
    if missing:
        raise HeadwaterError(
            f"{remote.place}: {missing:,} bytes are missing; run again"
        )
    whole = len(wanted) == remote.size
    if whole and _SHA256.fullmatch(remote.tag or "") and digest != remote.tag:
        raise HeadwaterError(
            f"{remote.place}: the bytes that came have SHA-256 {digest}, the hub says "
            f"{remote.tag}; run again to fetch them from the beginning"
        )


def write_record(folder: Path, parts: list[dict[str, Any]], **more: Any) -> None:
    """Write the record of a fetched folder."""
    write_json(folder / RECORD_NAME, {**more, "parts": parts})


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a fetched folder.

    Raises:
        HeadwaterError: there is none.
    """
    try:
        return dict(json.loads((folder / RECORD_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise HeadwaterError(
            f"{folder}: not a fetched folder ({error}); {again(folder)}"
        ) from error
