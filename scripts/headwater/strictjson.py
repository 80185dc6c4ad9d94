"""JSON of strangers, without what the standard forbids or leaves open."""

import json
from collections import Counter
from pathlib import Path
from typing import Any


def loads(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no JSON, `NaN` or `Infinity`, a key that stands twice in an object,
            or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("nested too deeply (recursion)") from error


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON object, see `loads`, or not UTF-8.
    """
    found = loads(path.read_text("utf-8-sig"))
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'the key "{twice}" stands twice')
    return found
