"""What the text of a config means: YAML 1.2's plain values, and no key twice.

PyYAML's own values are those of YAML 1.1: there `1:30` is 90, `010` is 8, `no` is
false, a date no text, `3e-3` text, and of two equal keys the last one wins silently.
"""

import re
from typing import Any, ClassVar

import yaml

from headwater.errors import HeadwaterError
from headwater.problems import printable

DEEPEST, MOST_VALUES, LONGEST_NUMBER = 20, 100_000, 100

_TAG = "tag:yaml.org,2002:"
_FORMS = {  # of plain values: the core schema of YAML 1.2
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "merge": "<<",
}
_FORM = {_TAG + kind: re.compile(rf"(?:{form})\Z") for kind, form in _FORMS.items()}


def parse(text: str) -> Any:
    """The value that the text of a config stands for; None for an empty one.

    Raises:
        HeadwaterError: one line, which begins with where: `line 3: ...`.
    """
    try:
        node = _Loader(text).get_single_node()
        return None if node is None else _Values().of(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        wrong = f"not YAML (character U+{error.character:04X}); remove it"
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1
        wrong = _words(error)
    except RecursionError:
        line, wrong = 1, f"nested deeper than {DEEPEST}; unfold it"
    raise HeadwaterError(f"line {line}: {wrong}")


class _Refused(yaml.MarkedYAMLError):
    """What is YAML, but nothing for a config."""

    def __init__(self, node: yaml.Node, text: str) -> None:
        super().__init__(problem=text, problem_mark=node.start_mark)


def _words(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, _Refused):
        return str(error.problem)
    said = ", ".join(filter(None, (error.context, error.problem)))
    text = " ".join(said.split())
    hint = "; indent with spaces, not tabs" if r"'\t'" in text else ""
    return f"not YAML ({text}){hint}"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str | None, Any]] = {
        None: list(_FORM.items())
    }


class _Values:
    """Values of nodes; what an anchor stands for is counted wherever it is used."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, node: yaml.Node, depth: int = 0) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            text = f"more than {MOST_VALUES:,} values, anchors unfolded; write fewer"
            raise _Refused(node, text)
        if depth > DEEPEST:
            text = f"nested deeper than {DEEPEST}, or an anchor in itself; unfold it"
            raise _Refused(node, text)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if node.tag == f"{_TAG}seq":
            return [self.of(entry, depth + 1) for entry in node.value]
        if node.tag == f"{_TAG}map":
            return self._section(node, depth + 1)
        raise _Refused(node, f"tag {printable(node.tag)}; write the value without it")

    def _section(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        lines: dict[str, int] = {}
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            name = _key(key, lines)
            if key.tag == f"{_TAG}merge":
                merged = self._merged(value, depth)
            else:
                own[name] = self.of(value, depth)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        found = self.of(node, depth)
        merged: dict[str, Any] = {}
        for section in found if isinstance(found, list) else [found]:
            if not isinstance(section, dict):
                raise _Refused(node, "<<: expected a section, or a list of sections")
            merged = {**section, **merged}
        return merged


def _key(node: yaml.Node, lines: dict[str, int]) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Refused(node, "a key must be text, not a list or a section")
    name, line = str(node.value), node.start_mark.line + 1
    if name in lines:
        where = "on this line" if lines[name] == line else f"on line {lines[name]}"
        raise _Refused(node, f'"{printable(name)}" stands {where} already; remove one')
    lines[name] = line
    return name


def _scalar(node: yaml.ScalarNode) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if kind in ("str", "merge"):
        return text
    if node.tag not in _FORM or not _FORM[node.tag].match(text):
        raise _Refused(node, f"tag {printable(node.tag)}; write the value without it")
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if len(text) > LONGEST_NUMBER:
        raise _Refused(node, f"a number of {len(text):,} characters; write it shorter")
    return _integer(node) if kind == "int" else float(re.sub(r"\.(?=[inIN])", "", text))


def _integer(node: yaml.ScalarNode) -> int:
    text = node.value
    digits = text.lstrip("+-")
    if digits[:1] == "0" and digits.isdigit() and digits != "0":
        advice = f'write {int(text)} for a number, "{text}" for text'
        raise _Refused(node, f"{text}: a number begins with no 0; {advice}")
    return int(text, 0)
