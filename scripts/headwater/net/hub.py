"""Files of a model on the hub: found, fetched and verified with `huggingface_hub`.

Its settings hold: `HF_TOKEN`, `HF_HOME` (the cache), `HF_HUB_OFFLINE`, `HF_ENDPOINT`.
Only `fetch_checkpoint` uses this, which runs where the network is.
"""

import hashlib
import logging
import re
import time
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from headwater.errors import HeadwaterError
from headwater.suggestions import nearest

logger = logging.getLogger("headwater")

TRIES = 5
FIRST_WAIT = 1.0  # seconds; doubled after each failure
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
PIECE = 1 << 22


class _NotWholeError(Exception):
    """What arrived is not what the hub has."""


def hub_file(repo: str, revision: str, name: str) -> Path | None:
    """A file of a model, in the hub's cache, downloaded if it is not there yet.

    Args:
        repo: `<owner>/<name>`.
        revision: branch, tag or commit.
        name: path of the file in the repository.

    Returns:
        The file, checked against the hash that the hub gives, or None if this revision
        has no such file.

    Raises:
        HeadwaterError: no such model or revision (the nearest are named), no access, or
            no network and nothing in the cache.
    """
    for attempt in range(TRIES):
        try:
            return _download(repo, revision, name)
        except (OSError, httpx2.HTTPError, _NotWholeError) as error:
            if _is_not_there(error):
                return None
            _raise_if_final(repo, revision, name, error)
            _wait(repo, revision, name, attempt, error)
    raise AssertionError("the last wait raises")


def how_to_fetch(repo: str, revision: str) -> str:
    """What to do where there is a network, in words."""
    return (
        "where there is a network (a login node), run `snakemake prepare` with the "
        f"same config in the same folder, or `hf download {repo} --revision {revision}`"
        " with the same HF_HOME"
    )


def _download(repo: str, revision: str, name: str) -> Path:
    path = Path(hf_hub_download(repo, name, revision=revision))
    if not is_whole(path):
        path.resolve().unlink()  # so that the next try fetches it again
        raise _NotWholeError("its hash differs from the hub's")
    return path


def _is_not_there(error: Exception) -> bool:
    if isinstance(error, LocalEntryNotFoundError):
        # Without a network nobody knows; in offline mode the caller says what to do.
        return constants.is_offline_mode()
    return isinstance(error, EntryNotFoundError)


def _raise_if_final(repo: str, revision: str, name: str, error: Exception) -> None:
    if isinstance(error, RevisionNotFoundError):
        raise _no_revision(repo, revision) from error
    if isinstance(error, RepositoryNotFoundError):
        raise HeadwaterError(
            f"checkpoints.repo: the hub shows no model {repo!r}; check the name, or "
            "set HF_TOKEN if it is private or gated"
        ) from error
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status not in TRANSIENT:
            hint = "set HF_TOKEN" if status in (401, 403) else "try again later"
            raise HeadwaterError(
                f"{repo} (revision {revision}): the hub answered {status} for {name}; "
                f"{hint}"
            ) from error
    elif isinstance(error, OSError) and not _is_passing(error):
        raise HeadwaterError(
            f"{repo} (revision {revision}): {name} cannot be put into the hub's cache "
            f"({_reason(error)}); free space, or set HF_HOME to another folder"
        ) from error


def _is_passing(error: OSError) -> bool:
    cut_short = "Consistency check failed" in str(error)
    return cut_short or isinstance(error, LocalEntryNotFoundError | ConnectionError)


def _wait(repo: str, revision: str, name: str, attempt: int, error: Exception) -> None:
    reason = _reason(error)
    if attempt + 1 == TRIES:
        raise HeadwaterError(
            f"{repo} (revision {revision}): {name} is not in the hub's cache and "
            f"cannot be fetched ({reason}; {TRIES} tries); run again, or, "
            f"{how_to_fetch(repo, revision)}"
        ) from error
    seconds = FIRST_WAIT * 2**attempt
    what = f"{repo} {revision} {name}"
    logger.warning("%s: %s; trying again in %.0f s", what, reason, seconds)
    time.sleep(seconds)


def _reason(error: Exception) -> str:
    # The hub's client wraps what happened in advice of several lines.
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    lines = [line for line in str(cause or error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


def is_whole(path: Path) -> bool:
    """Whether a file of the hub's cache has the hash that the cache names it by.

    A large file is named by its SHA-256, a small one by git's hash of it. Where the
    file system has no links the name says nothing, and the file is taken as it is.
    """
    blob = path.resolve()
    if not path.exists():
        return False
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return _digest(blob, hashlib.sha256()) == blob.name
    if re.fullmatch(r"[0-9a-f]{40}", blob.name):
        head = f"blob {blob.stat().st_size}\0".encode()
        return _digest(blob, hashlib.sha1(head)) == blob.name
    return True


def _digest(path: Path, digest: "hashlib._Hash") -> str:
    with path.open("rb") as handle:
        while piece := handle.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _no_revision(repo: str, revision: str) -> HeadwaterError:
    try:
        refs = HfApi().list_repo_refs(repo)
        names = [ref.name for ref in (*refs.branches, *refs.tags)]
    except (httpx2.HTTPError, OSError):
        names = []
    near = nearest(revision, names)
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    return HeadwaterError(f"{repo} has no revision {revision!r}{hint}")
