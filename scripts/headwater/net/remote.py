"""Files behind a URL or on the hub: their size and tag, and ranges of their bytes.

Only the rules that run on the login node (`fetch_*`) use this. Requests go through
`huggingface_hub`'s session, so its settings hold: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`
(a file that lies whole in its cache is read from there) and `HF_HUB_OFFLINE`. The token
is sent to the hub only.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]
from huggingface_hub import (
    HfApi,
    get_hf_file_metadata,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.utils import build_hf_headers, get_session

from headwater.errors import HeadwaterError
from headwater.net.failures import (
    TransientError,
    ask,
    changed,
    check_status,
    in_words,
    tries,
)
from headwater.net.places import HubPlace, hub_place, without_secrets

_TIMEOUT = 60.0  # seconds without a byte
_PIECE = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be read by ranges of bytes.

    Attributes:
        place: as the config names it, with the commit for a revision of the hub.
        url: where its bytes are.
        size: bytes of the whole file.
        tag: the server's ETag; it changes with the content. None if it sends none.
        headers: of every request.
        cached: the whole file in the hub's cache on this machine, if it is there.
    """

    place: str
    url: str
    size: int
    tag: str | None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    cached: Path | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this content from any other, for records and resuming."""
        return {"place": self.place, "etag": self.tag, "length": self.size}

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes `start` to `stop - 1`, each once, in pieces.

        A request that fails or ends early is made again from the next byte on.

        Raises:
            HeadwaterError: the range lies outside; the file changed on the server; or
                no new byte came in several tries.
        """
        if not 0 <= start <= stop <= self.size:
            raise HeadwaterError(
                f"{self.place}: bytes {start:,} to {stop:,} wanted, but it has only "
                f"{self.size:,}"
            )
        for attempt in tries(self.place):
            with attempt, in_words(self.place):
                for piece in self._once(start, stop):
                    start += len(piece)
                    attempt.retry_state.attempt_number = 1
                    yield piece
                if start < stop:
                    raise TransientError("the answer ended early")

    def read(self, start: int, stop: int) -> bytes:
        """The bytes `start` to `stop - 1` in memory."""
        return b"".join(self.stream(start, stop))

    def _once(self, start: int, stop: int) -> Iterator[bytes]:
        if start == stop:
            return
        if self.cached:
            yield from _local_pieces(self.cached, start, stop)
            return
        with _answer(self.place, self.url, start, stop, self.headers) as response:
            self._check(response, start, stop)
            left = stop - start
            for piece in response.iter_raw():  # as they come: what came is kept
                yield piece[:left]
                left -= len(piece)
                if left <= 0:  # a server that sends more than was asked for
                    return

    def _check(self, response: httpx2.Response, start: int, stop: int) -> None:
        tag = response.headers.get("ETag")
        pinned = hub_place(self.place) is not None  # a commit cannot change
        if not pinned and self.tag and tag and tag != self.tag:
            raise changed(self.place, f"its ETag was {self.tag} and is now {tag}")
        if response.status_code == 200:
            if start > 0:
                raise HeadwaterError(
                    f"{self.place}: the server sends whole files only (no range "
                    "requests); download the file and give its path"
                )
            return
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start or int(found[2]) != stop - 1:
            sent = response.headers.get("Content-Range", "no range")
            raise TransientError(f"asked for bytes {start}-{stop - 1}, got {sent}")
        if found[3] not in ("*", str(self.size)):
            sizes = f"it had {self.size:,} bytes and now has {int(found[3]):,}"
            raise changed(self.place, sizes)


class RemoteReader(AbstractBufferedFile):
    """A remote file as Python's file interface, for libraries that seek and read."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__(None, file.place, size=file.size, cache_type="none")
        self._file = file

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._file.read(start, min(end, self.size))  # fsspec may ask for more


def open_remote(place: str) -> RemoteFile:
    """Find a remote file, `https://...` or `hf://...`.

    Raises:
        HeadwaterError: not found, no permission, no network.
    """
    if hub := hub_place(place):
        return _open_hub(hub)
    shown = without_secrets(place)
    return ask(shown, lambda: _first_byte(shown, place))


def list_files(folder: HubPlace) -> list[HubPlace]:
    """All files of a folder on the hub, sorted by path.

    Raises:
        HeadwaterError: not found, no permission, no network.
    """

    def listing() -> list[str]:
        entries = HfApi().list_repo_tree(
            folder.repo,
            folder.path or None,
            recursive=True,
            revision=folder.revision,
            repo_type=folder.kind,
        )
        return sorted(e.path for e in entries if hasattr(e, "size"))

    return [folder.within(path) for path in ask(folder, listing)]


def _open_hub(hub: HubPlace) -> RemoteFile:
    """Ask the hub for the commit; without a network, its cache will do."""
    try:
        file = _ask_hub(hub)
    except HeadwaterError:
        cached = _cached(hub)
        if cached is None:
            raise
        return cached
    pinned = hub_place(file.place)
    return (pinned and _cached(pinned)) or file


def _cached(hub: HubPlace) -> RemoteFile | None:
    """A file that lies whole in the hub's cache on this machine."""
    found = try_to_load_from_cache(
        hub.repo, hub.path, revision=hub.revision, repo_type=hub.kind
    )
    if not isinstance(found, str):
        return None
    path = Path(found)
    commit = path.parents[hub.path.count("/")].name  # .../snapshots/<commit>/<path>
    tag = path.resolve().name  # the cache names a blob by its ETag
    place = HubPlace(hub.repo, hub.kind, commit, hub.path)
    return RemoteFile(str(place), "", path.stat().st_size, tag, cached=path)


def _ask_hub(hub: HubPlace) -> RemoteFile:
    url = hf_hub_url(hub.repo, hub.path, repo_type=hub.kind, revision=hub.revision)
    found = ask(hub, lambda: get_hf_file_metadata(url, timeout=_TIMEOUT))
    commit = found.commit_hash or hub.revision
    pinned = HubPlace(hub.repo, hub.kind, commit, hub.path)
    url = hf_hub_url(hub.repo, hub.path, repo_type=hub.kind, revision=commit)
    if found.size is None:
        raise HeadwaterError(f"{hub}: the hub does not say how long the file is")
    return RemoteFile(str(pinned), url, found.size, found.etag, build_hf_headers())


def _first_byte(place: str, url: str) -> RemoteFile:
    """Ask for the first byte: it comes with the length and the tag of the file."""
    with _answer(place, url, 0, 1, {}) as response:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise HeadwaterError(
                f"{place}: the server sends a web page (HTML), perhaps of a login; "
                "give the address of the file itself, or download it and give its path"
            )
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        length = found[3] if found else response.headers.get("Content-Length", "*")
        if length == "*":
            raise HeadwaterError(f"{place}: the server does not say how long it is")
        return RemoteFile(place, url, int(length), response.headers.get("ETag"))


@contextmanager
def _answer(
    place: str, url: str, start: int, stop: int, headers: dict[str, str]
) -> Iterator[httpx2.Response]:
    """The answer to a request for the bytes `start` to `stop - 1`."""
    wanted = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    request = get_session().stream(
        "GET",
        url,
        headers={**headers, **wanted},
        timeout=_TIMEOUT,
        follow_redirects=True,
    )
    with request as response:
        check_status(place, response)
        yield response


def _local_pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as handle:
        handle.seek(start)
        while start < stop and (piece := handle.read(min(_PIECE, stop - start))):
            start += len(piece)
            yield piece
