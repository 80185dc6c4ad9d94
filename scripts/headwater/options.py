"""Options of commands: what is mistyped is told on one line, without its usage."""

import argparse
from typing import NoReturn

from headwater.problems import one_line
from headwater.suggestions import suggestion

_UNKNOWN = "unrecognized arguments: "


class Options(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with 2, as every parser does."""
        self.exit(2, f"error: {told(self, message)}\n")


def told(parser: argparse.ArgumentParser, message: str) -> str:
    """A parser's message with the option that was probably meant."""
    unknown = message.removeprefix(_UNKNOWN) if message.startswith(_UNKNOWN) else ""
    wrong = [word.partition("=")[0] for word in unknown.split() if word[0] == "-"]
    known = [*parser._option_string_actions]
    meant = suggestion(wrong[0], known) if wrong else ""
    return one_line(message) + (meant or "; --help names what there is")
