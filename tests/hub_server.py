"""A local HTTP server for the tests: byte ranges, the hub's URL layout, and faults.

    /files/<path>                                       a file, as of any web server
    /api/datasets/<owner>/<name>/...                    what the hub says of a data set
    /datasets/<owner>/<name>/resolve/<revision>/<path>  a file of it

A data set's files are those under `<root>/datasets/<owner>/<name>`, the same for each
revision; its commit is a hash of them. Nothing but Python's own `http.server` is used.

Faults are given to `fail`: each is used up by one request for bytes of a file.
"""

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = (
    "503",
    "drop",
    "truncate",
    "short",
    "slow",
    "wrong_range",
    "wrong_length",
    "no_range",
)
_RESOLVE = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.*)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class HubServer(ThreadingHTTPServer):
    """Serves the files under a folder; remembers every request.

    Attributes:
        root: the folder.
        url: where it listens.
        requests: method, path and Range header of each request.
        sent: bytes of files that were sent in all.
        pause: seconds that a slow answer takes.
        retry_after: seconds that a 503 asks to wait.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str, str]] = []
        self.sent = 0
        self.pause = 1.0
        self.retry_after = 0
        self._faults: list[str] = []
        self._lock = threading.Lock()

    def fail(self, *faults: str) -> None:
        """Let the next requests for bytes fail, each in its own way; "" is well."""
        assert set(faults) <= {"", *FAULTS}
        self._faults.extend(faults)

    def next_fault(self) -> str:
        """The fault of this request; "" if it goes well."""
        with self._lock:
            return self._faults.pop(0) if self._faults else ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


@contextmanager
def serve(
    root: Path, handler: type[BaseHTTPRequestHandler] | None = None
) -> Iterator[HubServer]:
    """Serve a folder as long as the block lasts."""
    server = HubServer(root)
    server.RequestHandlerClass = handler or _Handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self._answer(self.rfile.read(length))

    def _answer(self, body: bytes = b"") -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.server.requests.append((self.command, path, self.headers.get("Range", "")))
        if path.startswith("/files/"):
            self._file(self.server.root / path.removeprefix("/files/"), {})
        elif found := _RESOLVE.fullmatch(path):
            folder = self.server.root / "datasets" / found[1]
            self._file(folder / found[2], {"X-Repo-Commit": commit(folder)})
        elif found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(/.*)?", path):
            folder = self.server.root / "datasets" / found[1]
            self._about(found[1], folder, found[2] or "", body, parse_qs(parts.query))
        else:
            self._text(404, "not found")

    # What the hub says about a data set.

    def _about(
        self, name: str, folder: Path, rest: str, body: bytes, query: dict[str, Any]
    ) -> None:
        kind, _, after = rest.strip("/").partition("/")
        if not folder.is_dir():
            self._text(404, "no such data set", {"X-Error-Code": "RepoNotFound"})
        elif kind in ("", "revision"):
            self._json(
                {
                    "_id": "1",
                    "id": name,
                    "sha": commit(folder),
                    "private": False,
                    "disabled": False,
                    "gated": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                    "siblings": [{"rfilename": p} for p in _paths(folder)],
                }
            )
        elif kind == "tree":
            within = after.partition("/")[2]
            recursive = query.get("recursive", [""])[0].lower() == "true"
            self._tree(folder, within, recursive)
        elif kind == "paths-info":
            wanted = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
            known = [p.strip("/") for p in wanted if (folder / p).exists()]
            self._json([_entry(folder, folder / p) for p in known])
        else:
            self._text(404, "not found")

    def _tree(self, folder: Path, within: str, recursive: bool) -> None:
        start = folder / within
        if not start.is_dir():
            self._text(404, "no such folder", {"X-Error-Code": "EntryNotFound"})
            return
        found = sorted(start.rglob("*") if recursive else start.iterdir())
        self._json([_entry(folder, path) for path in found])

    # Bytes of a file.

    def _file(self, path: Path, headers: dict[str, str]) -> None:
        fault = self.server.next_fault() if self.command == "GET" else ""
        if fault == "503":
            self._text(503, "try again", {"Retry-After": str(self.server.retry_after)})
            return
        if not path.is_file():
            self._text(404, "not found", {"X-Error-Code": "EntryNotFound", **headers})
            return
        data = path.read_bytes()
        headers = {"ETag": f'"{etag(data)}"', "Accept-Ranges": "bytes", **headers}
        if path.suffix == ".html":
            headers["Content-Type"] = "text/html; charset=utf-8"
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None or fault == "no_range":
            self._bytes(200, data, headers, fault)
            return
        start = int(asked[1])
        stop = min(int(asked[2]) + 1 if asked[2] else len(data), len(data))
        if start >= len(data):
            self._text(416, "out of range")
            return
        shown = start + 1 if fault == "wrong_range" else start
        length = len(data) + (fault == "wrong_length")
        headers["Content-Range"] = f"bytes {shown}-{stop - 1}/{length}"
        self._bytes(206, data[start:stop], headers, fault)

    def _bytes(
        self, status: int, data: bytes, headers: dict[str, str], fault: str
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        # "short" is an answer whose length is honest but less than was asked for.
        half = fault in ("drop", "truncate", "short")
        sent = data[: len(data) // 2] if half else data
        length = len(sent) if fault == "short" else len(data)
        self.send_header("Content-Length", str(length))
        if self.command != "HEAD":  # before a client can have its answer and look
            self.server.sent += len(sent)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "slow":
            self.wfile.write(data[:1])
            self.wfile.flush()
            time.sleep(self.server.pause)
        self.wfile.write(sent)
        self.wfile.flush()
        if fault == "drop":  # a reset
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if fault in ("drop", "truncate"):  # or a close, before all has come
            self.connection.close()
            self.close_connection = True

    def _json(self, value: Any) -> None:
        self._text(200, json.dumps(value), {"Content-Type": "application/json"})

    def _text(
        self, status: int, text: str, headers: dict[str, str] | None = None
    ) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def etag(data: bytes) -> str:
    """The hub's ETag of a large file: its SHA-256."""
    return hashlib.sha256(data).hexdigest()


def commit(folder: Path) -> str:
    """A commit hash of the files of a data set."""
    digest = hashlib.sha1()
    for name in _paths(folder):
        digest.update(name.encode() + (folder / name).read_bytes())
    return digest.hexdigest()


def _paths(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    name = str(path.relative_to(folder))
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    data = path.read_bytes()
    return {"type": "file", "path": name, "oid": etag(data)[:40], "size": len(data)}
