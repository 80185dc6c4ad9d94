"""The one exception that is meant for people."""


class HeadwaterError(Exception):
    """Bad input, said in one line: what is wrong, where, and what to do.

    Jobs print the message without a traceback and end with exit code 1; every
    other exception is a bug and keeps its traceback.
    """
