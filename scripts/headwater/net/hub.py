"""Files of a model on the hub: found, fetched and verified with `huggingface_hub`.

Its settings hold: `HF_TOKEN`, `HF_HOME` (the cache), `HF_HUB_OFFLINE`, `HF_ENDPOINT`.
Only `fetch_checkpoint` and `fetch_tokenizer` use this, which run where the network is.
"""

import hashlib
import re
from pathlib import Path

import httpx2
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.utils.sha import git_hash

from headwater.errors import HeadwaterError
from headwater.net.failures import ADVICE, NotThereError, TransientError, ask, reason
from headwater.net.places import HubPlace


def hub_file(repo: str, revision: str, name: str) -> Path | None:
    """A file of a model, in the hub's cache, downloaded if it is not there yet.

    Returns:
        The file, checked against the hash that the hub gives, or None if this revision
        has no such file.

    Raises:
        HeadwaterError: no such model or revision (the nearest are named), no access, or
            no network and nothing in the cache.
    """
    place = HubPlace(repo, "model", revision, name)
    try:
        return ask(place, lambda: _download(place))
    except NotThereError:
        return None


def absent(repo: str, revision: str, what: str) -> HeadwaterError:
    """What to say of a file that `hub_file` did not find."""
    if constants.is_offline_mode():
        return HeadwaterError(
            f"{repo} (revision {revision}): {what} is not in the hub's cache, and "
            f"HF_HUB_OFFLINE is set. {ADVICE}"
        )
    return HeadwaterError(f"{repo} (revision {revision}) has no {what}")


def _download(place: HubPlace) -> Path:
    try:
        path = Path(hf_hub_download(place.repo, place.path, revision=place.revision))
    except (httpx2.HTTPError, EntryNotFoundError, ConnectionError):
        raise
    except OSError as error:
        if "Consistency check failed" in str(error):  # it was cut short
            raise TransientError(reason(error)) from error
        raise HeadwaterError(
            f"{place}: cannot be put into the hub's cache ({reason(error)}); free "
            "space, or set HF_HOME to another folder"
        ) from error
    if not is_whole(path):
        path.resolve().unlink()  # so that the next try fetches it again
        raise TransientError("its hash differs from the hub's")
    return path


def is_whole(path: Path) -> bool:
    """Whether a file of the hub's cache has the hash that the cache names it by.

    A large file is named by its SHA-256, a small one by git's hash of it. Where the
    file system has no links the name says nothing, and the file is taken as it is.
    """
    blob = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        with blob.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == blob.name
    if re.fullmatch(r"[0-9a-f]{40}", blob.name):
        return git_hash(blob.read_bytes()) == blob.name
    return True
