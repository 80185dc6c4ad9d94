"""What is tried again over the network, and what goes wrong there, in words."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from headwater.errors import HeadwaterError
from headwater.net.places import HubPlace
from headwater.suggestions import nearest

logger = logging.getLogger("headwater")

_TRIES = 6  # in a row without a single new byte
_FIRST_WAIT = 1.0  # seconds; doubled after each failure
_LONGEST_WAIT = 60.0
_RETRIED = (408, 425, 429, 500, 502, 503, 504)

ADVICE = (
    "Without a network here, run `snakemake prepare` with the same config in the same "
    "folder where there is one (a login node), or download the files there: with `hf "
    "download` into the same HF_HOME, or anywhere, and give their local paths"
)

_GO_ON = f"run again to go on where it stopped. {ADVICE}"

Place = HubPlace | str
T = TypeVar("T")


class TransientError(Exception):
    """A failure that may pass if the request is made again.

    Attributes:
        seconds: to wait before that at least, where the server says.
    """

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.seconds = seconds


_PASSING = (httpx2.RequestError, ConnectionError, TransientError)


class NotThereError(HeadwaterError):
    """There is no such file, or none in the cache and no network is wanted."""


def ask(place: Place, request: Callable[[], T]) -> T:
    """The answer to a request, which is tried several times.

    Raises:
        NotThereError: there is no such file.
        HeadwaterError: any other reason, in one line.
    """
    return tries(place)(in_words(place)(request))


def tries(place: Place, advice: str = _GO_ON) -> Retrying:
    """Tries of what may fail for a while, to call or to iterate over.

    Each failure is a line of the log, the last one a `HeadwaterError`. Whoever got
    something new before a failure sets the `attempt_number` back to 1.

    Args:
        advice: what to do after the last one.
    """

    def log(state: RetryCallState) -> None:
        again = f"trying again in {state.upcoming_sleep:.0f} s"
        logger.warning("%s: %s; %s", place, reason(_error(state)), again)

    def give_up(state: RetryCallState) -> None:
        raise HeadwaterError(
            f"{place}: cannot be fetched ({reason(_error(state))}; "
            f"{state.attempt_number} tries); {advice}"
        ) from _error(state)

    return Retrying(
        retry=retry_if_exception_type(_PASSING),
        stop=stop_after_attempt(_TRIES),
        wait=_seconds,
        before_sleep=log,
        retry_error_callback=give_up,
    )


def _seconds(state: RetryCallState) -> float:
    asked = getattr(_error(state), "seconds", 0.0)
    return max(asked, wait_exponential(_FIRST_WAIT, _LONGEST_WAIT)(state))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def reason(error: BaseException | None) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def in_words(place: Place) -> Iterator[None]:
    """Say in one line what the hub's client says in many."""
    try:
        yield
    except (HfHubHTTPError, EntryNotFoundError, OfflineModeIsEnabled) as error:
        raise _in_words(place, error) from error


def _in_words(place: Place, error: Exception) -> Exception:
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        if not constants.is_offline_mode():
            return TransientError(reason(error.__cause__ or error))
        return NotThereError(
            f"{place}: not in the hub's cache, and HF_HUB_OFFLINE is set. {ADVICE}"
        )
    if isinstance(error, EntryNotFoundError):
        return NotThereError(f"{place}: no such file in the repository")
    if isinstance(place, HubPlace) and isinstance(error, RevisionNotFoundError):
        return _no_revision(place)
    if isinstance(place, HubPlace) and isinstance(error, RepositoryNotFoundError):
        return HeadwaterError(
            f"{place}: the hub shows no {place.kind} {place.repo!r}; check the name, "
            "or set HF_TOKEN if it is private or gated"
        )
    if isinstance(error, HfHubHTTPError) and error.response.status_code != 404:
        check_status(place, error.response)
    return HeadwaterError(f"{place}: {reason(error)}")


def _no_revision(place: HubPlace) -> HeadwaterError:
    try:
        refs = HfApi().list_repo_refs(place.repo, repo_type=place.kind)
        names = [ref.name for ref in (*refs.branches, *refs.tags)]
    except (httpx2.HTTPError, OSError):
        names = []
    near = nearest(place.revision, names)
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    what = f"{place.kind} {place.repo}"
    return HeadwaterError(f"{what} has no revision {place.revision!r}{hint}")


def check_status(place: Place, response: httpx2.Response) -> None:
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


def changed(place: Place, how: str) -> HeadwaterError:
    """What to say of a file that is not the one it was."""
    return HeadwaterError(
        f"{place}: changed on the server while it was fetched ({how}); run again to "
        "fetch it from the beginning"
    )
