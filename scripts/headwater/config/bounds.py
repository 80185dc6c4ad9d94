"""What no config may hold, whatever the key: looked for before anything is counted.

The largest values of single keys stand in the schema, the largest number of jobs in
`plan`.
"""

import re
from collections.abc import Iterator
from typing import Any

from headwater.checkpoints.schedule import LAST_POWER
from headwater.config.registry import Config
from headwater.problems import Key, Problem, touches

MOST_CHECKPOINTS = 10_000
LONGEST_TEXT = 4000  # characters: the longest path there can be has 4,095 bytes
# Control characters, line ends of any kind, and halves of characters.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def text_problems(value: Any, key: Key = ()) -> Iterator[Problem]:
    """Text, of keys and of values, that is in no file's name and on no line."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _text_problem(name, (*key, name)) or text_problems(
                entry, (*key, name)
            )
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from text_problems(entry, (*key, i))
    elif isinstance(value, str):
        yield from _text_problem(value, key)


def _text_problem(text: str, key: Key) -> list[Problem]:
    if found := _UNWRITABLE.search(text):
        code = f"U+{ord(found[0]):04X}"
        what = "a line break" if found[0] in "\n\r" else f"the character {code}"
        return [Problem(key, f"{what} cannot stand here; remove it")]
    if len(text) > LONGEST_TEXT:
        wrong = f"{len(text):,} characters are more than {LONGEST_TEXT:,}"
        return [Problem(key, f"{wrong}; shorten it")]
    return []


def checkpoint_problems(config: Config, broken: set[Key]) -> Iterator[Problem]:
    """Steps and an interval that make too many checkpoints to list."""
    keys = ("training", "steps"), ("training", "checkpoint_every")
    if any(touches(broken, key) for key in keys):
        return
    steps, every = (config[section][name] for section, name in keys)
    powers = LAST_POWER.bit_length() + 2
    count = steps // every + powers
    if count > MOST_CHECKPOINTS:
        least = -(-steps // (MOST_CHECKPOINTS - powers))
        text = (
            f"{every} makes about {count:,} checkpoints of {steps:,} training.steps, "
            f"at most {MOST_CHECKPOINTS:,} can be; set it to {least} or more"
        )
        yield Problem(keys[1], text)
