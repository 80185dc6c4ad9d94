"""Logs of jobs: how they are written, and how failures are found in them."""

import io
import logging
import sys
from pathlib import Path

logger = logging.getLogger("headwater")

ERROR = "ERROR: "  # before a message that is meant for people
WARNING = "WARNING: "
BUG = "a bug in Headwater: "
TRACEBACK = "Traceback (most recent call last):"
QUIET = "HEADWATER_QUIET"  # in the environment of jobs: their run tells what they log
TAIL = 1 << 14  # bytes of a log that are looked at


def escape_unprintable() -> None:
    """Have stdout and stderr show as escapes what their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Formatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        mark = WARNING if record.levelno == logging.WARNING else ""
        return f"{record.asctime} {mark}{record.message}"


class _Log(logging.FileHandler):
    """A log which says on stderr what a full disk does not take, if none else does."""

    alone = False

    def handleError(self, record: logging.LogRecord) -> None:
        if self.alone:
            print(self.format(record), file=sys.stderr)


def configure_logging(path: Path | None, mode: str = "w", quiet: bool = False) -> None:
    """Log to `path`, from its beginning or (mode `a`) its end.

    Args:
        quiet: not to stderr as well.
    """
    escape_unprintable()
    handlers: list[logging.Handler] = [] if quiet else [logging.StreamHandler()]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file name may hold what no encoding has (surrogates).
        log = _Log(path, mode, "utf-8", errors="backslashreplace")
        log.alone = quiet
        handlers.append(log)
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    formatter = _Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)


def errors_in(lines: list[str]) -> list[str]:
    """Why a job failed, by the lines of its log; [] if they do not say."""
    said = [line.split(ERROR, 1)[1] for line in lines if ERROR in line]
    if not said and any(line.endswith(TRACEBACK) for line in lines):
        return [BUG + next(line for line in reversed(lines) if line.strip())]
    return said


def warnings_in(lines: list[str]) -> list[str]:
    """What a job warns of, by the lines of its log."""
    return [line.split(WARNING, 1)[1] for line in lines if WARNING in line]


def tail(log: Path, size: int = TAIL) -> list[str]:
    """The last lines of a file, of so many bytes; [] if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
