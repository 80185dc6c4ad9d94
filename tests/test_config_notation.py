"""YAML 1.2 of configs: what plain values are, what is refused, and where it stands."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config.notation import DEEPEST, MOST_VALUES, parse
from headwater.config.reading import MOST_BYTES, merged, override, read_config
from headwater.errors import HeadwaterError

ROOT = Path(__file__).parents[1]
QUICK = settings(max_examples=60, derandomize=True, deadline=None)

PLAIN = [
    ("3e-3", 0.003),
    ("-1E+5", -1e5),
    ("1e30", 1e30),
    (".5", 0.5),
    ("7.", 7.0),
    ("+12", 12),
    ("-0", 0),
    ("0x1F", 31),
    ("0o17", 15),
    ("-.INF", -math.inf),
    ("TRUE", True),
    ("Null", None),
    ("~", None),
    ("", None),
    ("1:30", "1:30"),
    ("12:30:45.5", "12:30:45.5"),
    ("1_000", "1_000"),
    ("0b101", "0b101"),
    ("yes", "yes"),
    ("No", "No"),
    ("ON", "ON"),
    ("y", "y"),
    ("2026-02-30", "2026-02-30"),
    ("2026-11-29T10:00:00Z", "2026-11-29T10:00:00Z"),
    ("tRUE", "tRUE"),
    ("=", "="),
    ("'007'", "007"),
    ("!!str 08", "08"),
    ("1e", "1e"),
    ("0x", "0x"),
    (".", "."),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_plain_values_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse(f"key: {text}")["key"]
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(parse("key: .NaN")["key"])


REFUSED = [
    ("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\n", 'line 5: "c" stands on line 3 already'),
    ("a: {b: 1, 'b': 2}", 'line 1: "b" stands on this line already'),
    ("- {x: [{y: 1,\n  y: 2}]}", 'line 2: "y" stands on line 1 already'),
    ("1: a\n'1': b", 'line 2: "1" stands on line 1 already'),
    ("a: &a {}\nb: {<<: *a, <<: *a}", 'line 2: "<<" stands on this line already'),
    ("a: 010", 'line 1: 010: a number begins with no 0; write 10 for a number, "010"'),
    ("a:\n- -08", "line 2: -08: a number begins with no 0"),
    ("a: 00", "line 1: 00: a number begins with no 0"),
    ("a: " + "9" * 5000, "line 1: a number of 5,000 characters"),
    ("a: 1." + "0" * 200, "line 1: a number of 202 characters"),
    ("a: &a [*a]", "line 1: nested deeper than"),
    ("a: &a\n  b: {<<: *a}", "line 1: nested deeper than"),
    ("[" * 100_000, "line 1: nested deeper than"),
    ("a: " + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "line 1: nested deeper than"),
    ("a: *b", "line 1: not YAML (found undefined alias 'b')"),
    ("a: {<<: 3}", "line 1: <<: expected a section"),
    ("{a: b}: c", "line 1: a key must be text"),
    ("a: !!python/name:os.system", "line 1: tag tag:yaml.org,2002:python/name:os"),
    ("a: !!int twelve", "line 1: tag tag:yaml.org,2002:int"),
    ("a: !!set {b}", "line 1: tag tag:yaml.org,2002:set"),
    ("a: !own 1", "line 1: tag !own"),
    ("a:\n\tb: 1", "line 2: not YAML ("),
    ("a: 1\n--- \nb: 2", "line 2: not YAML (expected a single document"),
    ("a: b\nc: \x07", "line 2: not YAML (character U+0007); remove it"),
    ("a: [1, 2", "line 1: not YAML ("),
    ("a: 'b", "line 1: not YAML ("),
]


@pytest.mark.parametrize(("text", "start"), REFUSED, ids=lambda text: text[:30])
def test_what_is_refused_and_on_which_line(text: str, start: str) -> None:
    with pytest.raises(HeadwaterError) as caught:
        parse(text)
    assert str(caught.value).startswith(start)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("joint", ["[{}]", "{{<<: [{}]}}"])
def test_anchors_that_unfold_without_end_are_counted(joint: str) -> None:
    first = "[x, x]" if joint[0] == "[" else "{x: 1}"
    lines = [f"k0: &k0 {first}"]
    for i in range(1, 8):
        lines.append(f"k{i}: &k{i} {joint.format(', '.join([f'*k{i - 1}'] * 8))}")
    with pytest.raises(HeadwaterError, match=f"more than {MOST_VALUES:,} values"):
        parse("\n".join(lines))


def test_merges_keep_own_keys_and_the_first_of_a_list() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {z: 5, <<: [*a, *b]}"
    assert parse(text)["c"] == {"x": 1, "y": 2, "z": 5}


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")))
def test_shipped_configs_mean_what_every_yaml_reader_says(path: Path) -> None:
    assert read_config(path) == yaml.safe_load(path.read_text("utf-8"))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**9), 10**9)
        | st.text(max_size=9)
        # A control character is the reader's to refuse, not to keep.
        .filter(str.isprintable),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
@QUICK
def test_what_yaml_writes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump({"key": value}, allow_unicode=True)
    assert parse(text) == {"key": value}


@given(st.text("ab:-[]{}&*!|>'\"#%@,?\n\t 01.e<~", max_size=40))
@QUICK
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = "line "
    try:
        parse(text)
    except HeadwaterError as error:
        said = str(error)
    assert said.startswith("line ")
    assert said.isprintable()


# --- files --------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(HeadwaterError) as caught:
        read_config(path)
    return str(caught.value)


FILES = [
    (b"", "empty; copy config/config.yaml"),
    (b"# nothing yet\n---\n", "empty; copy config/config.yaml"),
    (b"- a\n- b", "expected sections (keys and values), found a list of 2"),
    (b"just words", 'expected sections (keys and values), found "just words"'),
    (b"seed: 1\nexperiment: caf\xe9\n", "line 2: not UTF-8 (byte 0xe9)"),
    ("seed: 1".encode("utf-16"), "line 1: not UTF-8 (byte 0xff)"),
    (b"__use_yte__: true", "__use_yte__: a config holds no code; remove it"),
    (b"# " + b"x" * MOST_BYTES, f"more than {MOST_BYTES:,} bytes"),
]


@pytest.mark.parametrize(("data", "message"), FILES, ids=lambda v: str(v)[:20])
def test_files_that_are_no_config(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)
    assert refused(path).startswith(f"{path}: {message}")


def test_what_is_no_file_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").write_text("seed: 1")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere.yaml")
    for name, words in {
        "pipe.yaml": "a pipe or a device",
        "loop.yaml": "cannot be read (Too many levels of symbolic links)",
        "gone.yaml": "no such config file; it links to nowhere.yaml",
        "heer.yaml": f"no such config file; did you mean {tmp_path}/here.yaml?",
        "here.yml": f"no such config file; did you mean {tmp_path}/here.yaml?",
        "here.yaml/x.yaml": "no such config file",
        "x" * 300: "cannot be read (File name too long)",
        "nul\0": "cannot be read (embedded null byte)",
        "": f"a folder; name a file in it, such as {tmp_path}/gone.yaml",
    }.items():
        assert words in refused(tmp_path / name), name
    assert "a pipe or a device" in refused(Path("/dev/zero"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 4\r\n")
    assert read_config(path) == {"seed": 4}


def test_several_files_and_overrides_as_snakemake_has_them() -> None:
    from snakemake.utils import update_config

    parts: list[dict[str, Any]] = [
        {"a": {"b": 1, "c": {"d": 2}}, "e": [1], "f": 3},
        {"a": {"c": {"d": 5, "g": None}}, "f": {"h": 1}},
        {"a": {"b": None}, "e": [], "f": {}, "i": {}},
    ]
    theirs: dict[str, Any] = {}
    for part in parts:
        update_config(theirs, part)
    assert merged(parts) == theirs


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("seed=3", {"seed": 3}),
        ("experiment=1:30", {"experiment": "1:30"}),
        ("training={steps: 40, eps: 1e-7}", {"training": {"steps": 40, "eps": 1e-7}}),
        ("arms=", {"arms": None}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_an_override_is_read_as_a_config_is(word: str, value: Any) -> None:
    assert override(word) == value


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed", "--config seed: expected key=value, such as seed=1"),
        ("a.b.c=1", "--config a.b.c=1: name the section; write 'a={b: {c: 1}}'"),
        ("seed=010", "--config seed=010: 010: a number begins with no 0"),
        ("a={b: 1, b: 2}", '--config a={b: 1, b: 2}: "b" stands on this line already'),
    ],
)
def test_an_override_that_is_none(word: str, message: str) -> None:
    with pytest.raises(HeadwaterError) as caught:
        override(word)
    assert str(caught.value).startswith(message)
