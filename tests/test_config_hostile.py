"""Configs that mean harm, or are typed wrong: bounds, names, and values of any kind."""

import copy
import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.checkpoints.schedule import checkpoint_steps
from headwater.config import ConfigError, load_config
from headwater.config.arm_checks import RESERVED
from headwater.config.bounds import LONGEST_TEXT, MOST_CHECKPOINTS
from headwater.config.notation import parse
from headwater.config.schema import MOST_PROBLEMS, load_schema
from headwater.config.target_checks import TAKEN
from headwater.corpus.sources.pile import SOURCE as PILE
from headwater.plan import dag
from headwater.plan.experiment import Experiment, sources_of
from headwater.plan.limits import MOST_JOBS, size_problem

ROOT = Path(__file__).parents[1]
SMOKE = parse((ROOT / "config/smoke.yaml").read_text("utf-8"))
ARM = {"action": "remove", "rows": "random", "fraction": 0.1}


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The smoke config with dotted keys set."""
    config = copy.deepcopy(SMOKE)
    for key, value in changes:
        *parents, last = key.split(".")
        section = config
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = copy.deepcopy(value)
    return config


def problems(config: dict[str, Any]) -> list[str]:
    try:
        load_config(config, "c.yaml", ROOT)
    except ConfigError as error:
        return str(error).split("\n")
    return []


# --- values of any kind, anywhere ---------------------------------------------

HOSTILE = [
    *(None, True, False, "", [], {}, [None], {"a": None}, [[]], [{}], (1, 2), b"x"),
    *(math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e30, 1e308, 1.5, 0, -1, 2, 10**6),
    *(10**18, 10**30, -(10**400), 10**400, [10**400], datetime.date(2026, 1, 1)),
    *("a\n", "\n", "a\0b", "\ud800", "\u2028", "x" * 300, "x" * 5000, "../x", "/", "."),
    *("http://[x", "http://", "hf://x", "://", "/dev/zero", "010", "1:30", "auto"),
    *("L" + "9" * 5000 + "H0", "step" + "9" * 5000, "all", ["http://[x"], ["x" * 300]),
    *({1: 2}, {"x" * 300: {}}, {"a\n": {}}, {"name": "x" * 300}, {"path": "http://[x"}),
    *({"path": "."}, {"files": ["x" * 300], "text": "a"}, {"vocab_size": 10**400}),
    *({"revisions": ["step0"], "folder": "x" * 300}, {"repo": "a/b\n", "start": "x"}),
]


def keys(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple]:
    """Every key that a config may have, with names of the smoke config."""
    for name, entry in schema.get("properties", {}).items():
        yield (*path, name)
        yield from keys(entry, (*path, name))
        for named in entry.get("patternProperties", {}).values():
            known = next(iter(SMOKE.get(name, ["small"])))
            yield (*path, name, known)
            yield from keys(named, (*path, name, known))


KEYS = sorted(keys(load_schema()))


@given(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(HOSTILE)),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
@settings(max_examples=250, derandomize=True, deadline=None)
@example([(("corpus",), {"a": None})], False)
@example([(("corpus", "shards"), ["http://[x"])], False)
@example([(("model", "hidden_size"), 10**400)], False)
def test_any_value_anywhere_is_taken_or_refused_in_lines(
    changes: list[tuple[tuple, Any]], sourceless: bool
) -> None:
    config = copy.deepcopy(SMOKE)
    if sourceless:
        del config["corpus"]["shards"]
    for key, value in changes:
        section = config
        for parent in key[:-1]:
            if not isinstance(section.get(parent), dict):
                section[parent] = {}
            section = section[parent]
        section[key[-1]] = copy.deepcopy(value)
    for line in problems(config):
        assert line.startswith("c.yaml: ")
        assert line.isprintable()
        assert len(line) < 700


SWITCHES = {
    *("hidden", "split_digits", "use_parallel_residual", "tie_word_embeddings"),
}


def test_every_value_by_itself() -> None:
    for key in KEYS:
        for value in (None, True, math.nan, 10**400, "a\nb", [[]], {"b": {"c": 1}}):
            lines = problems(changed((".".join(key), value)))
            assert lines or (key[-1] in SWITCHES and value is True), (key, value)
            assert all(line.isprintable() for line in lines), (key, value)


@pytest.mark.parametrize("key", ["training.weight_decay", "corpus.records.varying"])
def test_a_negative_zero_is_zero(key: str) -> None:
    section, *_, name = key.split(".")
    config = load_config(changed((key, -0.0)), "c.yaml", ROOT)[section]
    value = config.get("records", config)[name]
    assert math.copysign(1, value) == 1


# --- bounds -------------------------------------------------------------------


def numbers(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict]]:
    for name, entry in schema.get("properties", {}).items():
        types = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
        if {"integer", "number"} & set(types) and "enum" not in entry:
            yield f"{path}{name}", entry
        yield from numbers(entry, f"{path}{name}.")
        for named in entry.get("patternProperties", {}).values():
            yield from numbers(
                named, f"{path}{name}.{next(iter(SMOKE.get(name, [0])))}."
            )


@pytest.mark.parametrize(("key", "entry"), [*numbers(load_schema())], ids=str)
def test_every_number_has_a_bound_that_is_named(key: str, entry: dict) -> None:
    most = entry.get("maximum", entry.get("exclusiveMaximum"))
    beside = {"corpus.dataset": "corpus.dataset.text"}.get(key.rpartition(".")[0], "x")
    lines = problems(changed((key, 10.0**40), (beside, "column")))
    line = next(line for line in lines if line.startswith(f"c.yaml: {key}: "))
    assert "errorMessage" in entry or f" {most}, found 1e+40" in line


@pytest.mark.parametrize(
    ("steps", "every"), [(10_000_000, 1), (9_999, 1), (10_000_000, 1000)]
)
def test_checkpoints_are_bounded_before_they_are_listed(steps: int, every: int) -> None:
    config = changed(("training.steps", steps), ("training.checkpoint_every", every))
    (line,) = problems(config)
    advised = int(re.findall(r"set it to (\d+) or more", line)[0])
    assert line.startswith(f"c.yaml: training.checkpoint_every: {every} makes about ")
    assert f"at most {MOST_CHECKPOINTS:,} can be" in line
    assert len(checkpoint_steps(steps, advised)) <= MOST_CHECKPOINTS


def size(*changes: tuple[str, Any]) -> str | None:
    config = load_config(changed(*changes), "c.yaml", ROOT)
    return size_problem(Experiment(config, sources_of(config, ROOT)))


LONG = ("training.steps", 20_000), ("window", {"target": "induction", "start": 16})
MANY = [
    (("arms", {f"a{i}": {**ARM, "draws": 1000} for i in range(60)}), "arms and their"),
    (("gradients.shards", 10_000), ("targets", 9), "gradients.shards"),
    (("window.checkpoints", 1000), ("gradients.shards", 100), "window.checkpoints or"),
    (("corpus.row_shards", 10_000), ("gradients.shards", 1000), "corpus.row_shards"),
]


@pytest.mark.parametrize("case", MANY, ids=lambda case: case[-1])
def test_jobs_are_bounded_with_the_keys_to_lower(case: tuple) -> None:
    *changes, words = case
    names = {f"t{i}": {"probe": "induction"} for i in range(9)}
    changes = [
        ("targets", {**SMOKE["targets"], **names}) if key == "targets" else (key, value)
        for key, value in changes
    ]
    text = size(*LONG, *changes)
    assert text is not None
    assert words in text
    assert "at most " in text
    assert "\n" not in text


def test_large_experiments_are_not_too_large() -> None:
    assert size() is None
    arms = {f"a{i}": {**ARM, "draws": 1000} for i in range(8)}
    assert size(*LONG, ("arms", arms), ("gradients.shards", 1000)) is None
    assert MOST_JOBS > 16_000


# --- names --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("experiment", "run\n"), "experiment: a line break cannot stand here"),
        (("experiment", "a" * 101), "experiment: 101 characters, at most 100 can be"),
        (("experiment", "slurm"), "experiment: the name is reserved"),
        (("targets.b\n", {"probe": "copying"}), r"targets.b\n: a line break cannot"),
        (("targets." + "b" * 65, {"probe": "copying"}), "65 characters, at most 64"),
        (("targets.variants", {"probe": "copying"}), "targets.variants: the name is"),
        (("arms.c\r", ARM), r"arms.c\r: a line break cannot stand here"),
        (("arms." + "c" * 300, ARM), ": 300 characters, at most 64 can be"),
        (("window.target", "induction\n"), "window.target: a line break cannot"),
        (("corpus.shards", ["resources/corpus\x85"]), "the character U+0085 cannot"),
        (
            ("corpus.shards", ["y" * (LONGEST_TEXT + 1)]),
            "corpus.shards[0]: 4,001 characters are more than 4,000",
        ),
    ],
)
def test_names_that_no_file_can_have(change: tuple[str, Any], message: str) -> None:
    (line,) = problems(changed(change))
    assert message in line


def test_too_many_names() -> None:
    targets = {f"t{i}": {"probe": "copying"} for i in range(1000)}
    (line,) = problems(changed(("targets", {**SMOKE["targets"], **targets})))
    assert line == "c.yaml: targets: 1,002 entries, at most 1,000 can be"


def outputs() -> Iterator[tuple[str, str]]:
    """Every path that a rule makes, and every log: the rule and the path."""
    for file in sorted(dag.RULES.glob("*.smk")):
        for found in dag.HEADER.finditer(file.read_text()):
            name, text = found["name"], found["text"]
            if name is None:
                continue
            made = dag.OUTPUT.search(text)
            paths = dag.PATH.findall(made[0]) if made else []
            paths += re.findall(r'"(<(?:logs|benchmarks)>/.+?)"', text)
            for path in paths:
                yield name, path.replace("{{", "{").replace("}}", "}")


FIGURES = {"name": "n-", "size": "", "form": "svg"}  # no wildcards, but of a list
FILLED = {
    **{"shard": "0000", "point": "start", "role": "start", "POINTS[0]": "start"},
    **{"draw": "0", "step": "0", "source": "s-", "revision": "r-"},
    **{"target": "t_", "arm": "a_", "smoothing": "s_"},
    **FIGURES,
}


def taken(wildcard: str) -> set[str]:
    """Names that make a path of one rule that of another, or a folder of its own."""
    found = set(FILLED.values())
    made = sorted(set(outputs()))
    for one in made:
        texts = [filled(path) for rule, path in made if (rule, path) != one]
        folders = {folder for text in texts for folder in above(text)}
        files = {*texts, *folders}
        for own, others in [(one[1], files)] + [(f, folders) for f in above(one[1])]:
            pattern = re.compile(regex(own, wildcard))
            matches = filter(None, map(pattern.fullmatch, others))
            found |= {match["name"] for match in matches if pattern.groups}
    return found - set(FILLED.values())


def filled(path: str) -> str:
    return re.sub(r"\{([^}]+)\}", lambda found: FILLED[found[1]], path)


def above(path: str) -> list[str]:
    steps = path.split("/")
    return ["/".join(steps[:i]) for i in range(1, len(steps))]


def regex(path: str, wildcard: str) -> str:
    """Of a path; the wildcard is the group `name`."""
    parts = re.split(r"\{([^}]+)\}", path)
    parts[::2] = map(re.escape, parts[::2])
    known = {**dag._constraints(), "role": "start", "POINTS[0]": "start", **FIGURES}
    parts[1::2] = [
        f"(?P<name>{known[part]})" if part == wildcard else f"(?:{known[part]})"
        for part in parts[1::2]
    ]
    return "".join(parts)


def test_names_whose_files_would_be_anothers_are_reserved() -> None:
    assert taken("target") == set(TAKEN)
    for name in TAKEN:
        (line,) = problems(changed((f"targets.{name}", {"probe": "copying"})))
        assert line.startswith(f"c.yaml: targets.{name}: the name is reserved: ")
    assert taken("arm") <= set(RESERVED)
    for name in RESERVED:
        (line,) = problems(changed((f"arms.{name}", ARM)))
        assert line.startswith(f"c.yaml: arms.{name}: the name is reserved for ")
    assert taken("source") == set()
    assert taken("revision") == set()


def test_sources_whose_names_are_too_long_or_those_of_parts(tmp_path: Path) -> None:
    for name in ("a" * 151, "b.part", "c.part.json", "d" * 150):
        (tmp_path / f"{name}.jsonl.zst").touch()
    found = PILE.problems({"shards": ["."]}, ("corpus",), tmp_path)
    assert [str(line).rpartition(": ")[2] for line in found] == [
        "a name of 151 characters, at most 150 can be; rename it",
        'a name before ".jsonl.zst" must not end in ".part"; rename it',
        'a name before ".jsonl.zst" must not end in ".part"; rename it',
    ]


@pytest.mark.parametrize("section", ["arms", "targets", "report"])
def test_of_very_many_mistakes_the_first_are_told(section: str) -> None:
    lines = problems(changed((section, {f"N{i}": ARM for i in range(5_000)})))
    assert len(lines) == MOST_PROBLEMS + 1
    assert lines[-1] == f"c.yaml: more is wrong; mend these {MOST_PROBLEMS} first"
