"""The registry of checks: which keys each reads, and when it is left out.

A check is left out when one of the keys that it reads is already known to be wrong.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headwater.problems import Key, Problem, touches

Config = dict[str, Any]
Check = Callable[[Config], Iterator[Problem]]
EntryCheck = Callable[[Config, Key, dict[str, Any]], Iterator[Problem]]

CHECKS: list[tuple[list[Key], Check]] = []
ENTRY_CHECKS: list[tuple[str, list[Key], EntryCheck]] = []


def check_problems(config: Config, broken: Iterable[Key]) -> list[Problem]:
    """Everything that does not fit.

    Args:
        config: a config with its defaults; keys named in `broken` may hold anything.
        broken: keys already known to be wrong.
    """
    broken = set(broken)
    problems: list[Problem] = []
    for reads, function in CHECKS:
        if not any(touches(broken, key) for key in reads):
            problems += function(config)
    for section, reads, of_entry in ENTRY_CHECKS:
        if any(touches(broken, key) for key in reads):
            continue
        for name, entry in names(config, section).items():
            if not touches(broken, (section, name)):
                problems += of_entry(config, (section, name), entry)
    return problems


def check(*reads: str) -> Callable[[Check], Check]:
    """Register a check of the config that reads these keys."""

    def register(function: Check) -> Check:
        CHECKS.append(([tuple(key.split(".")) for key in reads], function))
        return function

    return register


def entry_check(section: str, *reads: str) -> Callable[[EntryCheck], EntryCheck]:
    """Register a check of each target or arm that also reads these keys."""

    def register(function: EntryCheck) -> EntryCheck:
        keys: list[Key] = [tuple(key.split(".")) for key in reads]
        ENTRY_CHECKS.append((section, keys, function))
        return function

    return register


def names(config: Config, section: str) -> dict[str, Any]:
    """The entries of a section of named things (targets, arms)."""
    # The names count even when some of the entries are wrong.
    entries = config.get(section)
    return entries if isinstance(entries, dict) else {}


def problem(key: str, text: str) -> Problem:
    """A problem of a dotted key."""
    return Problem(tuple(key.split(".")), text)
