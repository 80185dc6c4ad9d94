"""Motifs as JSON: written for people and for the generator, read back with care.

Users edit these files, so all is checked: by `workflow/schemas/motifs.schema.json`, and
for what a schema cannot say.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from headwater.catalysts.skeleton import Element, Fixed, Skeleton, Slot
from headwater.errors import HeadwaterError
from headwater.publish import write_text
from headwater.strictjson import read_object

SCHEMA_FILE = Path(__file__).parents[3] / "workflow/schemas/motifs.schema.json"
FORMAT = 1
WORDS, VOCABULARY, VALUES = "words", "vocabulary", "values"
PLAIN, SPACED = "plain", "spaced"

Fills = list[list[int]]
Words = Mapping[str, Mapping[str, Fills]]


@dataclass(frozen=True)
class SlotRule:
    """How a slot is filled.

    Attributes:
        length: fewest and most tokens.
        source: `words`, `vocabulary` or `values`.
        starts: `plain` or `spaced`, of the first word.
        values: what it is filled with, where that is given.
        again: chance of the fill before it in the row.
    """

    length: tuple[int, int]
    source: str = VOCABULARY
    starts: str = PLAIN
    values: Fills = field(default_factory=list)
    again: float = 0.0


@dataclass(frozen=True)
class Program:
    """A motif as the generator takes it.

    Attributes:
        skeleton: tokens and slots; its lengths are the rules'.
        gap: fewest and most tokens between two occurrences.
        words: of its domain: `plain` and `spaced`.
    """

    name: str
    weight: float
    skeleton: Skeleton
    rules: Mapping[str, SlotRule]
    gap: tuple[int, int]
    words: Mapping[str, Fills]


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_text("utf-8"))
    return found


def check_motifs(value: Any, name: str) -> None:
    """Refuse what the schema does not allow.

    Raises:
        HeadwaterError: names the place, and what is wrong there.
    """
    check_schema(value, _schema(), name, "the file")


def check_schema(value: Any, schema: Mapping[str, Any], name: str, whole: str) -> None:
    """Refuse what a JSON schema does not allow, in one line.

    Args:
        name: of what is read.
        whole: the place that is named where all of it is wrong.

    Raises:
        HeadwaterError: names the place, and what is wrong there.
    """
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or whole
        message = " ".join(str(error.message).split())
        if len(message) > 200:
            message = message[:200] + "…"
        raise HeadwaterError(f"{name}: {place}: {message}")


def write_motifs(path: Path, value: Mapping[str, Any]) -> None:
    """Publish a motif file: indented, a list of numbers on one line.

    Raises:
        HeadwaterError: it is not as the schema wants it.
    """
    check_motifs(value, str(path))
    text = json.dumps(value, indent=2, ensure_ascii=True)
    lists = re.compile(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]")
    text = lists.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    write_text(path, text + "\n")


def read_motifs(
    path: Path,
    encode: Callable[[str], list[int]],
    decode: Callable[[list[int]], str],
    vocabulary: int,
) -> list[Program]:
    """The motifs of a file, for the generator.

    Args:
        encode: token ids of a text.
        decode: the reverse.
        vocabulary: token ids there are.

    Raises:
        HeadwaterError: not readable, or not a motif file; one line that says where.
    """
    try:
        value = read_object(path)
    except (OSError, ValueError) as error:
        raise HeadwaterError(f"{path}: not a readable motif file ({error})") from error
    check_motifs(value, str(path))
    reader = _Reader(str(path), encode, decode, vocabulary, value.get("words", {}))
    motifs = [reader.program(motif) for motif in value["motifs"]]
    if not motifs or not sum(motif.weight for motif in motifs) > 0:
        raise HeadwaterError(
            f"{path}: no motif with a weight above 0, so no row can be written after "
            "one; nothing that top rows have more often was found, or write one"
        )
    return motifs


@dataclass(frozen=True)
class _Reader:
    name: str
    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]
    vocabulary: int
    words: Words

    def program(self, motif: Mapping[str, Any]) -> Program:
        where = f"{self.name}: motif {motif['name']!r}"
        elements = [self._element(entry, where) for entry in motif["elements"]]
        slots = motif.get("slots", {})
        rules = {}
        for element in elements:
            if isinstance(element, Slot):
                if element.name not in slots:
                    raise HeadwaterError(
                        f"{where}: slot {element.name} stands in its elements, but not "
                        "in its slots; say there how long it is"
                    )
                rules[element.name] = self._rule(
                    slots[element.name], f"{where}: slot {element.name}"
                )
        domain = motif.get("domain")
        words = self.words.get(domain, {}) if domain is not None else {}
        for fills in words.values():
            for fill in fills:
                self._check(fill, f"{self.name}: words of {domain!r}")
        skeleton = Skeleton(
            tuple(elements), {name: rule.length for name, rule in rules.items()}
        )
        gap = self._range(motif.get("gap", [0, 0]), f"{where}: gap", 0)
        weight = float(motif.get("weight", 1.0))
        return Program(motif["name"], weight, skeleton, rules, gap, words)

    def _element(self, entry: Mapping[str, Any], where: str) -> Element:
        if "slot" in entry:
            return Slot(entry["slot"])
        text = entry.get("text")
        if "fixed" not in entry:
            return Fixed(tuple(self.encode(str(text))))
        tokens = list(entry["fixed"])
        self._check(tokens, where)
        if text is not None and self.decode(tokens) != text:
            raise HeadwaterError(
                f"{where}: the text {text!r} is not that of its `fixed` tokens; after "
                "an edit delete the other of the two"
            )
        return Fixed(tuple(tokens))

    def _rule(self, slot: Mapping[str, Any], where: str) -> SlotRule:
        length = self._range(slot["length"], f"{where}: length", 1)
        values = [list(value) for value in slot.get("values", [])]
        source = slot.get("from", VALUES if values else VOCABULARY)
        if source == VALUES and not values:
            raise HeadwaterError(f"{where}: is filled from its values, but has none")
        for value in values:
            self._check(value, where)
        again, starts = float(slot.get("again", 0.0)), slot.get("starts", PLAIN)
        return SlotRule(length, source, starts, values, again)

    @staticmethod
    def _range(value: Sequence[int], where: str, least: int) -> tuple[int, int]:
        low, high = value
        if not least <= low <= high:
            raise HeadwaterError(
                f"{where}: is {low} to {high}; it must be from {least} up, the smaller "
                "number first"
            )
        return low, high

    def _check(self, tokens: Sequence[int], where: str) -> None:
        if wrong := [token for token in tokens if token >= self.vocabulary]:
            raise HeadwaterError(
                f"{where}: token id {wrong[0]:,}, but corpus.tokenizer has ids 0 to "
                f"{self.vocabulary - 1:,}; give the text instead of the ids"
            )
