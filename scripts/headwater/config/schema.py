"""The schema: what it finds wrong, in plain words, and the defaults it gives."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from headwater.problems import Key, Problem, show
from headwater.suggestions import closest, suggestion

SCHEMA_FILE = Path(__file__).parents[3] / "workflow/schemas/config.schema.yaml"

Schema = dict[str, Any]
MOST_PROBLEMS = 50  # that are told; nobody reads more at a time


@cache
def load_schema() -> Schema:
    """The JSON schema of the config."""
    # The C parser is ten times faster; not every PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    schema: Schema = yaml.load(SCHEMA_FILE.read_text("utf-8"), Loader=loader)
    return schema


def schema_problems(config: dict[str, Any]) -> list[Problem]:
    """What the schema finds wrong, one problem for each key, up to `MOST_PROBLEMS`."""
    problems: dict[Key, Problem] = {}
    found = (p for error in _validator().iter_errors(config) for p in _explain(error))
    for problem in found:
        problems.setdefault(problem.key, problem)
        if len(problems) > MOST_PROBLEMS:
            break
    # A misspelt key is also a missing one: say it once.
    meant = {problem.meant for problem in problems.values()}
    return [problem for key, problem in problems.items() if key not in meant]


def fill_defaults(config: dict[str, Any]) -> Any:
    """The config with the schema's defaults, key order and number types."""
    return _fill(load_schema(), config)


def _fill(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict):
        return _fill_section(schema, value)
    if isinstance(value, list):
        return [_fill(schema.get("items", {}), entry) for entry in value]
    if isinstance(value, float) and "integer" in _types(schema) and value.is_integer():
        return int(value)
    if type(value) in (int, float) and "number" in _types(schema):
        with suppress(OverflowError):  # already found to be too large
            return value + 0.0  # 0.0 for -0.0
    return value


def _fill_section(schema: Schema, section: dict[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    complete = {**_defaults(schema, section), **section}
    named: Schema = next(iter(schema.get("patternProperties", {}).values()), {})
    order = [name for name in known if name in complete]
    order += [name for name in complete if name not in known]
    return {name: _fill(known.get(name, named), complete[name]) for name in order}


def _defaults(schema: Schema, section: dict[str, Any]) -> dict[str, Any]:
    needs = schema.get("dependentRequired", {})
    return {
        name: entry["default"]
        for name, entry in schema.get("properties", {}).items()
        if "default" in entry and section.keys() >= set(needs.get(name, ()))
    }


@cache
def _validator() -> Any:
    plain = jsonschema.Draft202012Validator
    checker = plain.TYPE_CHECKER.redefine("number", _is_finite_number)
    return jsonschema.validators.extend(plain, type_checker=checker)(load_schema())


def _is_finite_number(_checker: Any, value: Any) -> bool:
    # Not a number passes every comparison with a bound, so it must fail here.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _explain(error: Any) -> Iterator[Problem]:
    key: Key = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(key, error)
    elif error.validator == "required":
        yield from _missing_keys(key, error)
    elif error.validator == "dependentRequired":
        yield from _lonely_keys(key, error)
    elif error.validator in COUNTED:
        yield _too_many(key, error)
    elif error.validator == "not":
        yield Problem(key, error.schema["errorMessage"])
    elif error.validator != "oneOf":
        yield Problem(key, _unexpected(error))
    elif isinstance(error.instance, dict) and not _is_misspelt(error):
        yield Problem(key, error.schema["errorMessage"])


def _is_misspelt(error: Any) -> bool:
    # One of the keys to choose from stands there, as an unknown one.
    choices = {
        name for one in error.validator_value for name in one.get("required", ())
    }
    known = error.schema.get("properties", {})
    return any(closest(name, known) in choices for name in _extra_keys(error))


def _extra_keys(error: Any) -> list[str]:
    known = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    return [
        name
        for name in error.instance
        if name not in known and not any(re.search(p, name) for p in patterns)
    ]


COUNTED = {"maxLength": "characters", "maxItems": "entries", "maxProperties": "entries"}


def _too_many(key: Key, error: Any) -> Problem:
    found, most = error.instance, error.validator_value
    if "minItems" in error.schema and error.schema["minItems"] == most:
        return Problem(key, _unexpected(error))
    if "propertyNames" in error.absolute_schema_path:
        key = (*key, found)
    unit = COUNTED[error.validator]
    return Problem(key, f"{len(found):,} {unit}, at most {most:,} can be")


PLAIN_NAME = 'a name of lower-case letters, digits and "_", beginning with a letter'


def _unknown_keys(key: Key, error: Any) -> Iterator[Problem]:
    known = error.schema.get("properties", {})
    for name in _extra_keys(error):
        if not known:
            plain = (
                'a name of lower-case letters, digits and "_", beginning with a letter'
            )
            wanted = error.schema.get("nameMessage", plain)
            yield Problem((*key, name), f"expected {wanted}")
            continue
        hint = suggestion(name, known, f"; keys here: {', '.join(known)}")
        match = closest(name, known)
        meant = (*key, match) if match and match not in error.instance else None
        yield Problem((*key, name), f"unknown key{hint}", meant)


def _missing_keys(key: Key, error: Any) -> Iterator[Problem]:
    known = error.schema.get("properties", {})
    for name in error.validator_value:
        if name not in error.instance:
            hint = f"; {_expected(known[name])}" if name in known else ""
            yield Problem((*key, name), f"missing{hint}")


def _lonely_keys(key: Key, error: Any) -> Iterator[Problem]:
    for name, needed in error.validator_value.items():
        if name in error.instance and not error.instance.keys() >= set(needed):
            yield Problem((*key, name), f'needs "{needed[0]}" beside it')


def _unexpected(error: Any) -> str:
    schema, value = error.schema, error.instance
    # A wrong type is said without the bounds: they are not what is wrong.
    only_type = error.validator == "type"
    text = f"{_expected(schema, bounds=not only_type)}, found {show(value)}"
    if "enum" in schema:
        return text + suggestion(value, schema["enum"])
    return text + (_rewrite(schema, value) if only_type else "")


TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "a section (keys and values)",
    "string": "a string",
}
BOUNDS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
    "minLength": "of length >=",
}


def _expected(schema: Schema, bounds: bool = True) -> str:
    if "errorMessage" in schema:
        return str(schema["errorMessage"])
    if "enum" in schema:
        return "expected " + " or ".join(map(str, schema["enum"]))
    text = "expected " + TYPE_NAMES[schema["type"]]
    if "maxItems" in schema:
        return f"{text} of {schema['maxItems']}"
    limits = [f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema]
    return f"{text} {' and '.join(limits)}" if bounds and limits else text


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _rewrite(schema: Schema, value: Any) -> str:
    """How to write a value that YAML took for another type, if that is clear."""
    types = _types(schema)
    if types == ["array"] and isinstance(value, str):
        return f"; write [{value}]"
    if types == ["string"] and not isinstance(value, dict | list | bool | None):
        return f'; write "{value}"'
    if isinstance(value, str) and {"integer", "number"} & set(types):
        return _unquoted(value, whole="number" not in types)
    return ""


def _unquoted(text: str, whole: bool) -> str:
    for kind in (int, float):
        with suppress(ValueError):
            number = kind(text)
            if _is_finite_number(None, number) and not (whole and number % 1):
                return f"; write {int(number) if whole else number}"
    return ""
