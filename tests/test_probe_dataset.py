"""The dataset probe: its rows read as they stand or refused, and what it asks."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.probes import PROBES
from headwater.probes.dataset import read_rows
from tiny import tiny_model


def spell(text: str) -> list[int]:
    return [ord(letter) - ord("a") for letter in text]


def written(tmp_path, *lines: str):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_dataset_rows_are_read_with_their_positions_and_targets(tmp_path):
    path = written(
        tmp_path,
        '{"tokens": [3, 4, 5, 6], "positions": [1, 3], "targets": [9, 8]}',
        '{"text": "abc"}',
        '{"text": "abcd", "positions": [2]}',
    )
    data = read_rows(path, spell, 31, 10)
    assert data.tokens.tolist() == [[3, 4, 5, 6], [0, 1, 2, 0], [0, 1, 2, 3]]
    assert data.weights.tolist() == [[0, 0.5, 0, 0.5], [0.5, 0.5, 0, 0], [0, 0, 1, 0]]
    assert data.targets[0].tolist() == [0, 9, 0, 8]
    assert data.targets[1].tolist() == [1, 2, 0, 0]
    assert data.targets[2].tolist() == [0, 0, 3, 0]


def test_dataset_is_the_log_probability_of_the_wanted_tokens(tmp_path):
    lines = (
        '{"tokens": [3, 4, 5, 6], "positions": [1, 3], "targets": [9, 8]}',
        '{"tokens": [7, 2]}',
    )
    model, data = tiny_model(), read_rows(written(tmp_path, *lines), spell, 31, 10)
    found = PROBES["dataset"].function(model, None, data)
    first = model(input_ids=torch.tensor([[3, 4, 5, 6]])).logits[0].log_softmax(1)
    second = model(input_ids=torch.tensor([[7, 2]])).logits[0].log_softmax(1)
    expected = [(first[1, 9] + first[3, 8]) / 2, second[0, 2]]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting property name"),
        ("[1]", "not an object"),
        ("{}", 'no "tokens" and no "text"'),
        ('{"tokens": [1, 2], "text": "ab"}', 'both "tokens" and "text"'),
        ('{"tokens": [1, 99]}', "token id 99 is not in 0..30"),
        ('{"tokens": [1, -2]}', "token id -2 is not in 0..30"),
        ('{"tokens": [1, "a"]}', "\"tokens\" holds 'a'; it must hold whole numbers"),
        ('{"tokens": [1, 2.0]}', '"tokens" holds 2.0; it must'),
        ('{"tokens": [1, true]}', '"tokens" holds True; it must'),
        ('{"tokens": [1, [2]]}', '"tokens" holds [2]; it must'),
        ('{"tokens": "ab"}', '"tokens" must be a list'),
        ('{"tokens": null}', '"tokens" must be a list'),
        ('{"tokens": []}', '"positions" must lie in'),
        ('{"text": 5}', '"text" is 5, no text'),
        ('{"text": ["ab"]}', "\"text\" is ['ab'], no text"),
        ('{"text": "a\\ud800"}', "surrogates not allowed"),
        ('{"tokens": [1, 2], "positions": [2]}', '"positions" must lie in 0..1'),
        ('{"tokens": [1, 2], "positions": []}', '"positions" must lie in 0..1'),
        ('{"tokens": [1, 2], "positions": [-1]}', '"positions" must lie in 0..1'),
        ('{"tokens": [1, 2], "positions": [0.5]}', '"positions" holds 0.5; it must'),
        ('{"tokens": [1, 2], "positions": [false]}', '"positions" holds False; it'),
        ('{"tokens": [1, 2], "positions": {"0": 1}}', '"positions" must be a list'),
        ('{"tokens": [1, 2], "positions": null}', '"positions" must be a list'),
        ('{"tokens": [1, 2], "positions": [1]}', "has no next token"),
        ('{"tokens": [1, 2], "positions": [0, 0]}', "names a position twice"),
        ('{"tokens": [1, 2], "positions": 1}', '"positions" must be a list'),
        ("[" * 100_000, "recursion"),
        ('{"tokens": [1, 2], "targets": [1, 2]}', '2 "targets" for 1 "positions"'),
        ('{"tokens": [1, 2], "targets": []}', '0 "targets" for 1 "positions"'),
        ('{"tokens": [1, 2], "targets": [2.5]}', '"targets" holds 2.5; it must'),
        ('{"tokens": [1, 2], "targets": 0}', '"targets" must be a list'),
        ('{"text": "abcdefghijkl"}', "12 tokens, but the model has 10 positions"),
        ('{"text": "ab", "position": [0]}', 'unknown key "position"; did you mean "po'),
        ('{"text": "ab", "target": [0]}', 'unknown key "target"; did you mean "targ'),
        ('{"text": "ab", "Targets": [0]}', 'unknown key "Targets"; did you mean'),
        ('{"text": "ab", "id": 5}', 'unknown key "id"; known are tokens, text, posi'),
        ('{"text": "ab", "text": "cd"}', 'the key "text" stands twice'),
        ('{"tokens": [1, NaN]}', "NaN is no number of JSON"),
        ('{"tokens": [1, 2], "positions": [Infinity]}', "Infinity is no number"),
        ('{"tokens": [1, 1e400]}', '"tokens" holds inf; it must'),
        ("", "Expecting value"),
        ('{"tokens": [1, 2]} {"tokens": [1, 2]}', "Extra data"),
    ],
)
def test_bad_dataset_rows_are_told_in_one_line(tmp_path, line, reason):
    path = written(tmp_path, '{"tokens": [1, 2]}', line, '{"tokens": [1, 2]}')
    with pytest.raises(HeadwaterError) as caught:
        read_rows(path, spell, 31, 10)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 2: ")
    assert reason in message
    assert "\n" not in message


def test_text_may_hold_unicode_line_separators(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\u2028\u0085b"}\n', encoding="utf-8")
    data = read_rows(path, lambda text: list(range(len(text))), 31, 10)
    assert data.tokens.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n \n"])
def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path, end):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"text": "abc"}\r\n{"tokens": [4, 5]}' + end.encode()
    )
    assert read_rows(path, spell, 31, 10).tokens.tolist() == [[0, 1, 2], [4, 5, 0]]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-32"])
def test_another_encoding_is_told_with_its_line(tmp_path, encoding):
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "abc"}\n{"text": "ü"}\n'.encode(encoding))
    with pytest.raises(HeadwaterError) as caught:
        read_rows(path, spell, 31, 10)
    line = 2 if encoding == "latin-1" else 1
    assert str(caught.value) == (
        f"{path}: line {line}: not UTF-8; save the file in that encoding"
    )


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\r\n", b"\xef\xbb\xbf", b"\t"])
def test_a_dataset_without_rows_is_refused(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(HeadwaterError, match="no rows"):
        read_rows(path, spell, 31, 10)


@pytest.mark.parametrize("name", ["none", "."])
def test_a_dataset_without_a_file_is_refused(tmp_path, name):
    with pytest.raises(HeadwaterError, match=r"no such file|a folder"):
        read_rows(tmp_path / name, spell, 31, 10)


ENTRIES = st.integers(-2, 40) | st.floats() | st.booleans() | st.none()


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["tokens", "text", "positions", "targets", "token"]),
        st.lists(ENTRIES, max_size=4) | st.text("abc", max_size=4) | ENTRIES,
    )
)
def test_any_row_is_read_as_it_stands_or_refused(tmp_path_factory, row):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    try:
        data = read_rows(path, spell, 31, 10)
    except HeadwaterError:
        return
    tokens = row.get("tokens") or spell(row["text"])
    assert data.tokens.tolist() == [tokens]
    positions = row.get("positions", list(range(len(tokens) - 1)))
    assert data.weights[0].nonzero()[:, 0].tolist() == sorted(positions)
    wanted = row.get("targets") or [tokens[p + 1] for p in positions]
    assert [int(data.targets[0, p]) for p in positions] == wanted
    assert all(type(entry) is int for entry in (*tokens, *positions, *wanted))
