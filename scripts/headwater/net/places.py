"""Where a source lies: a local path, a URL, or a place on the hub.

    folder/part.bin                                        a local path
    https://host/folder/part.bin                           a URL
    hf://datasets/<owner>/<name>[@<revision>][/<path>]     a data set on the hub
    hf://<owner>/<name>[@<revision>][/<path>]              a model on the hub

Read while Snakemake parses the rules, so nothing here looks at a disk or a network.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_HUB = re.compile(
    r"hf://(?P<datasets>datasets/)?(?P<repo>(?!datasets/)[^/@]+/[^/@]+)"
    r"(@(?P<revision>[^/]+))?(/(?P<path>.*))?"
)
_SCHEMES = ("http", "https", "hf")


@dataclass(frozen=True)
class HubPlace:
    """A file or folder on the hub.

    Attributes:
        repo: `<owner>/<name>`.
        kind: "dataset" or "model".
        revision: branch, tag or commit.
        path: within the repository, "" for all of it.
    """

    repo: str
    kind: str
    revision: str
    path: str

    def within(self, path: str) -> "HubPlace":
        """Another file of the same revision."""
        return HubPlace(self.repo, self.kind, self.revision, path)

    def __str__(self) -> str:
        kind = "datasets/" if self.kind == "dataset" else ""
        place = f"hf://{kind}{self.repo}@{self.revision}/{self.path}"
        return place.removesuffix("/")


def is_remote(place: str) -> bool:
    """Whether a place needs the network."""
    return "://" in place


def hub_place(place: str) -> HubPlace | None:
    """The parts of an `hf://` place; None for any other."""
    found = _HUB.fullmatch(place)
    if found is None:
        return None
    kind = "dataset" if found["datasets"] else "model"
    path = (found["path"] or "").strip("/")
    return HubPlace(found["repo"], kind, found["revision"] or "main", path)


def base_name(place: str) -> str:
    """The last part of a place: `https://host/a/b.bin?x=1` is `b.bin`."""
    path = urlsplit(place).path if is_remote(place) else place
    return path.rstrip("/").rsplit("/", 1)[-1]


def without_secrets(url: str) -> str:
    """A URL without user, password and query, as logs and records may show it."""
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def remote_problem(place: str) -> str | None:
    """What is wrong with a remote place, or None."""
    scheme = place.split("://", 1)[0]
    if scheme not in _SCHEMES:
        return f"unknown kind of address {scheme}://; use https://, http:// or hf://"
    if scheme == "hf" and hub_place(place) is None:
        return "expected hf://datasets/<owner>/<name>[@<revision>]/<path>"
    try:
        host = urlsplit(place).netloc
    except ValueError as error:
        return f"no address ({error})"
    if scheme != "hf" and not host:
        return "expected a host after ://"
    if scheme != "hf" and "@" in host:
        return "no user and password here; they would be stored with the results"
    return None
