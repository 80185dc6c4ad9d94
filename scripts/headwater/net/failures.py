"""What goes wrong when something is fetched, in words."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub.errors import (
    EntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionResolutionError,
)

from headwater.errors import HeadwaterError

logger = logging.getLogger("headwater")

_TRIES = 6  # in a row without a single new byte
_FIRST_WAIT = 1.0  # seconds; doubled after each failure
_LONGEST_WAIT = 60.0
_RETRIED = {408, 425, 429, 500, 502, 503, 504}

ADVICE = (
    "Without a network here, run `snakemake prepare` with the same config in the same "
    "folder where there is one (a login node), or download the files there and give "
    "their local paths"
)


class TransientError(Exception):
    """A failure that may pass if the request is made again.

    Attributes:
        seconds: to wait before that at least, where the server says.
    """

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.seconds = seconds


class NotThereError(HeadwaterError):
    """There is no such file, or none in the cache and no network is wanted."""


def check_status(place: str, response: httpx2.Response) -> None:
    """Refuse an answer that brings no bytes.

    Raises:
        TransientError: it may be another one next time.
        NotThereError: there is no such file.
        HeadwaterError: any other reason.
    """
    status = response.status_code
    if status in _RETRIED:
        after = response.headers.get("Retry-After", "")
        seconds = min(float(after), _LONGEST_WAIT) if after.isdigit() else 0.0
        raise TransientError(f"the server answered {status}", seconds)
    if status in (200, 206):
        return
    if status == 404:
        raise NotThereError(f"{place}: the server answered 404: no such file")
    hints = {
        401: "it needs a login; set HF_TOKEN, or download it and give its path",
        403: "you may not read it; ask for access, or set HF_TOKEN",
    }
    hint = hints.get(status, "open the address in a browser, or try again later")
    raise HeadwaterError(f"{place}: the server answered {status}: {hint}")


def changed(place: str, how: str) -> HeadwaterError:
    """What to say of a file that is not the one it was."""
    return HeadwaterError(
        f"{place}: changed on the server while it was fetched ({how}); run again to "
        "fetch it from the beginning"
    )


def wait(place: str, failures: int, error: Exception) -> None:
    """Pause before the next try.

    Raises:
        HeadwaterError: that was the last.
    """
    reason = str(error).strip() or type(error).__name__
    if failures >= _TRIES:
        raise HeadwaterError(
            f"{place}: cannot be fetched ({reason}; {failures} tries); run again to go "
            f"on where it stopped. {ADVICE}"
        ) from error
    seconds = min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT)
    seconds = max(seconds, getattr(error, "seconds", 0.0))
    logger.warning("%s: %s; trying again in %.0f s", place, reason, seconds)
    time.sleep(seconds)


@contextmanager
def offline_is_said(place: str) -> Iterator[None]:
    """Say what to do where `HF_HUB_OFFLINE` forbids a request."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise NotThereError(
            f"{place}: not in the hub's cache, and HF_HUB_OFFLINE is set. {ADVICE}"
        ) from None


@contextmanager
def hub_errors(place: str) -> Iterator[None]:
    """Say in one line what the hub's client says in many."""
    try:
        with offline_is_said(place):
            yield
    except (httpx2.HTTPError, EntryNotFoundError, RevisionResolutionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, EntryNotFoundError):
            raise NotThereError(f"{place}: no such file in the repository") from error
        # The first line holds the status, the last one what the hub says about it.
        reason = lines[-1] if len(lines) > 1 else lines[0]
        raise HeadwaterError(f"{place}: {reason.rstrip('.')}. {ADVICE}") from error
