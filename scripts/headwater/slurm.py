"""SLURM's commands, with a time limit on each."""

import subprocess
from collections.abc import Sequence

from headwater.errors import HeadwaterError

SECONDS = 90  # a busy controller takes a while; one that is down takes 10 to 20
UNREACHABLE = ("Unable to contact slurm controller", "Socket timed out")


class SlurmError(HeadwaterError):
    """SLURM cannot be asked. The message says what to do."""


def call(command: Sequence[str]) -> tuple[bool, str]:
    """Run one of SLURM's commands.

    Returns:
        Whether it succeeded, and all that it said.

    Raises:
        SlurmError: the command is missing, or no controller answers.
    """
    name = command[0]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(
            f"`{name}` not found: SLURM's commands are not on this machine; run on a "
            "login node, or without --profile profiles/slurm"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(_silent(name, f"no answer in {SECONDS} s")) from None
    words = done.stdout.strip()
    if done.returncode and any(sign in words for sign in UNREACHABLE):
        raise SlurmError(_silent(name, " ".join(words.split())))
    return done.returncode == 0, words


def lines(*command: str) -> list[str]:
    """What a query prints, line by line.

    Raises:
        SlurmError: it failed.
    """
    succeeded, words = call(command)
    if not succeeded:
        raise SlurmError(_silent(command[0], " ".join(words.split())))
    return [line.strip() for line in words.splitlines() if line.strip()]


def _silent(name: str, words: str) -> str:
    return (
        f"SLURM does not answer (`{name}`: {words}); no job was submitted. Run the "
        "same command again when `sinfo` works"
    )
