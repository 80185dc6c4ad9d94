"""Logs of jobs: how they are written, and how failures are found in them."""

import io
import logging
import sys
from pathlib import Path

logger = logging.getLogger("headwater")

ERROR = "ERROR: "  # before a message that is meant for people
BUG = "a bug in Headwater: "
TRACEBACK = "Traceback (most recent call last):"
TAIL = 1 << 14  # bytes of a log that are looked at


def escape_unprintable() -> None:
    """Have stdout and stderr show as escapes what their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def configure_logging(path: Path | None, mode: str = "w") -> None:
    """Log to `path`, from its beginning or (mode `a`) its end, and to stderr."""
    escape_unprintable()
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file name may hold what no encoding has (surrogates).
        log = logging.FileHandler(path, mode, "utf-8", errors="backslashreplace")
        handlers.append(log)
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    formatter = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    for handler in handlers:
        handler.setFormatter(formatter)
        logger.addHandler(handler)


def errors_in(lines: list[str]) -> list[str]:
    """Why a job failed, by the lines of its log; [] if they do not say."""
    said = [line.split(ERROR, 1)[1] for line in lines if ERROR in line]
    if not said and any(line.endswith(TRACEBACK) for line in lines):
        return [BUG + next(line for line in reversed(lines) if line.strip())]
    return said


def tail(log: Path, size: int = TAIL) -> list[str]:
    """The last lines of a file, of so many bytes; [] if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
