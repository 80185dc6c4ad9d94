"""The one exception that is meant for people, and what most of its messages advise."""

from pathlib import Path


class HeadwaterError(Exception):
    """Bad input, said in one line: what is wrong, where, and what to do.

    Jobs print the message without a traceback and end with exit code 1; every
    other exception is a bug and keeps its traceback.
    """


def again(path: Path) -> str:
    """How to make a result of ours again, for the end of a message."""
    return f"to make it again: snakemake --force {path} (and your --configfile)"
