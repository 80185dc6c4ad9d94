"""The one exception that is meant for people."""

# How jobs mark such a message in their logs, for the end of the run to find it.
ERROR_PREFIX = "ERROR: "


class HeadwaterError(Exception):
    """Bad input, said in one line: what is wrong, where, and what to do.

    Jobs print the message without a traceback and end with exit code 1; every
    other exception is a bug and keeps its traceback.
    """
