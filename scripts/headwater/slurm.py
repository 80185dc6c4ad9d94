"""SLURM's commands, each with a time limit: the one place that runs them."""

import subprocess
from collections.abc import Sequence

from headwater.errors import HeadwaterError

PATIENCE = 90.0  # seconds; a busy controller takes a while, one that is down 10 to 20
UNREACHABLE = ("Unable to contact slurm controller", "Socket timed out")


class SlurmError(HeadwaterError):
    """SLURM cannot be asked: the message says what to do, `reason` in short why not."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def call(command: Sequence[str], patience: float = PATIENCE) -> tuple[bool, str]:
    """Run one of SLURM's commands.

    Args:
        patience: seconds that the controller has for an answer.

    Returns:
        Whether it succeeded, and what it printed; if it failed, its errors, too.

    Raises:
        SlurmError: the command is missing, or no controller answers.
    """
    name = command[0]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(
            f"`{name}` not found",
            f"`{name}` not found: SLURM's commands are not on this machine; run on a "
            "login node, or without --profile profiles/slurm",
        ) from None
    except OSError as error:
        raise _silent(name, str(error)) from error
    except subprocess.TimeoutExpired:
        raise _silent(name, f"no answer in {patience:.0f} s") from None
    if not done.returncode:
        return True, done.stdout.strip()
    words = (done.stdout + done.stderr).strip()
    if any(sign in words for sign in UNREACHABLE):
        raise _silent(name, words)
    return False, words


def lines(*command: str, patience: float = PATIENCE) -> list[str]:
    """What a query prints, line by line.

    Raises:
        SlurmError: it failed.
    """
    succeeded, words = call(command, patience)
    if not succeeded:
        raise _silent(command[0], words)
    return [line.strip() for line in words.splitlines() if line.strip()]


def _silent(name: str, words: str) -> SlurmError:
    reason = " ".join(words.split())
    return SlurmError(
        reason,
        f"SLURM does not answer (`{name}`: {reason}); no job was submitted. Run the "
        "same command again when `sinfo` works",
    )
