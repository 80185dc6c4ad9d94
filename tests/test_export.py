"""Exported rows come back as they are in the run, by our readers and by others'."""

import json
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

import headwater
from headwater.corpus.tokenfiles import TokenFiles, open_local
from headwater.corpus.tokenwriter import token_kind, write_bin, write_index
from headwater.errors import HeadwaterError
from headwater.imports import ROOT
from headwater.library import export as exporting
from headwater.library.export import export
from headwater.library.selection import by_score, count_of, listed, of_arm
from headwater.logs import logger
from megatron_writer import write_dataset, write_idx
from small_run import DOMAINS, PICKED, ROWS, SIZE, WIDTH, SmallRun
from test_commands import command
from test_imports import HEAVY


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SmallRun:
    return SmallRun(tmp_path_factory.mktemp("made") / "results" / "small")


@pytest.fixture(scope="module")
def run(made):
    return headwater.open(made.folder)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks of rows, and no progress on the terminal."""
    monkeypatch.setattr(exporting, "_BLOCK", 7)
    monkeypatch.setattr(logger, "handlers", [])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def check_line(made, run, line) -> None:
    """A line says of a row what the run holds of it."""
    row = line["row"]
    assert line["input_ids"] == made.tokens[row].tolist()
    assert line["text"] == run.text(row)
    assert line["step"] == row // SIZE
    assert line["domain"] == DOMAINS[made.domain[row]]
    table = run.documents(row)
    names = ["source", "line", "start", "stop", "domain", "token"]
    assert line["documents"] == table[names].to_dict("records")


def test_the_top_rows_as_lines_of_json(made, run, tmp_path):
    path = tmp_path / "x.jsonl"
    assert export(run, by_score(run, "induction", "30%", True), "jsonl", path) == [path]
    found = lines(path)
    ranked = run.scores("induction").sort_values("rank")[: round(0.3 * 64)]
    assert [line["row"] for line in found] == ranked["row"].tolist()
    assert [line["score"] for line in found] == ranked["score"].tolist()
    assert [line["loss"] for line in found] == ranked["loss"].tolist()
    for line in found:
        check_line(made, run, line)


def test_the_lowest_rows_come_lowest_first(run, tmp_path):
    export(run, by_score(run, "L0H1", "5", False), "jsonl", tmp_path / "x.jsonl")
    scores = [line["score"] for line in lines(tmp_path / "x.jsonl")]
    assert scores == sorted(run.scores("other")["score"])[:5]


def test_rows_by_number_keep_their_order_and_may_be_outside_the_window(
    made, run, tmp_path
):
    export(run, listed(run, "90, 3-5,30,3", None), "jsonl", tmp_path / "x.jsonl")
    found = lines(tmp_path / "x.jsonl")
    assert [line["row"] for line in found] == [90, 3, 4, 5, 30, 3]
    inside = run.scores().set_index("row")["score"]
    known = [line["score"] for line in found]
    assert known == [None, None, None, None, pytest.approx(inside[30]), None]
    for line in found:
        check_line(made, run, line)


@pytest.mark.parametrize("name", ["remove_top-seed0", "insert_random-seed1"])
def test_an_arm_is_what_it_trains_on_in_its_order(made, run, tmp_path, name):
    export(run, of_arm(run, name, None), "jsonl", tmp_path / "x.jsonl")
    arm = made.made[name]
    kept = arm.rows[arm.weights > 0] + run.rows.start
    assert [line["row"] for line in lines(tmp_path / "x.jsonl")] == kept.tolist()
    assert len(kept) == 64 - PICKED * name.startswith("remove")


def test_a_row_that_counts_twice_stands_twice(run):
    rows = of_arm(run, "repeat_top", None).rows
    top = set(run.scores().nsmallest(PICKED, "rank")["row"])
    found, counts = np.unique(rows, return_counts=True)
    assert set(found[counts == 2]) == top
    assert len(rows) == 64 + PICKED


def test_the_whole_data_set_of_an_arm_has_the_rows_around_the_window(run):
    part = of_arm(run, "remove_top", None).rows
    whole = of_arm(run, "remove_top", None, whole=True).rows
    before, after = np.arange(run.rows.start), np.arange(run.rows.stop, ROWS)
    np.testing.assert_array_equal(whole, np.concatenate([before, part, after]))


def test_a_folder_for_datasets_holds_what_the_lines_say(made, run, tmp_path):
    chosen = listed(run, "24-40,2", None)
    export(run, chosen, "hf", tmp_path / "x")
    export(run, chosen, "jsonl", tmp_path / "x.jsonl")
    loaded = datasets.load_from_disk(str(tmp_path / "x"))
    assert loaded.to_list() == lines(tmp_path / "x.jsonl")
    assert loaded.features["input_ids"] == datasets.List(datasets.Value("int64"))


def test_lines_of_json_are_read_by_datasets(run, tmp_path):
    export(run, listed(run, "24-40,2", None), "jsonl", tmp_path / "x.jsonl")
    cache = str(tmp_path / "cache")
    files = str(tmp_path / "x.jsonl")
    loaded = datasets.load_dataset("json", data_files=files, cache_dir=cache)["train"]
    assert loaded["text"] == [line["text"] for line in lines(tmp_path / "x.jsonl")]
    assert loaded["input_ids"][0] == lines(tmp_path / "x.jsonl")[0]["input_ids"]


def test_a_token_file_is_read_by_our_own_reader(made, run, tmp_path):
    chosen = of_arm(run, "insert_random", None)
    made_files = export(run, chosen, "megatron", tmp_path / "x.bin")
    assert [path.name for path in made_files] == ["x.bin", "x.idx", "x.tsv"]
    files = open_local([tmp_path / "x.bin"], range(len(chosen.rows)), WIDTH)
    assert len(files) == 64
    np.testing.assert_array_equal(files.read(0, 64), made.tokens[chosen.rows])
    table = pd.read_csv(tmp_path / "x.tsv", sep="\t", keep_default_na=False)
    assert table["row"].tolist() == chosen.rows.tolist()
    assert table["domain"].tolist() == [DOMAINS[i] for i in made.domain[chosen.rows]]
    scores = run.scores().set_index("row")["score"]
    np.testing.assert_allclose(table["score"], scores[chosen.rows], rtol=1e-6)


def test_token_files_are_byte_for_byte_those_of_another_writer(tmp_path):
    rows = np.random.default_rng(0).integers(0, 60_000, (5, 9))
    write_bin(tmp_path / "own.bin", [rows[:2], rows[2:]], "uint16")
    write_index(tmp_path / "own.idx", 5, 9, "uint16")
    write_dataset(tmp_path, rows.tolist(), "theirs")
    for end in (".bin", ".idx"):
        own, theirs = (tmp_path / f"{name}{end}" for name in ("own", "theirs"))
        assert own.read_bytes() == theirs.read_bytes()


def test_a_large_vocabulary_takes_wider_tokens(tmp_path):
    assert [token_kind(n) for n in (300, 65_536, 65_537)] == ["uint16"] * 2 + ["int32"]
    rows = np.array([[1, 100_000, 3]])
    write_bin(tmp_path / "x.bin", [rows], "int32")
    write_index(tmp_path / "x.idx", 1, 3, "int32")
    files = TokenFiles([tmp_path / "x.bin"], 3, np.dtype("<i4"))
    np.testing.assert_array_equal(files.read(0, 1), rows)
    write_idx(tmp_path / "y.idx", [3], "int32")
    assert (tmp_path / "x.idx").read_bytes() == (tmp_path / "y.idx").read_bytes()


@pytest.mark.parametrize("form", ["jsonl", "hf", "megatron"])
def test_the_same_rows_are_the_same_bytes_and_nothing_else_is_left(run, tmp_path, form):
    chosen = by_score(run, "induction", "9", True)
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(run, chosen, form, tmp_path / name / "x")
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append(
            {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        )
    assert found[0] == found[1]
    assert len(found[0]) == {"jsonl": 1, "hf": 3, "megatron": 3}[form]


@pytest.mark.parametrize("form", ["jsonl", "hf", "megatron"])
def test_nothing_is_overwritten_without_being_told(run, tmp_path, form):
    output = tmp_path / "x"
    few, many = (by_score(run, "induction", n, True) for n in ("3", "9"))
    made = export(run, few, form, output)
    before = [path.stat() for path in made]
    with pytest.raises(HeadwaterError, match=r"there already; .* --overwrite"):
        export(run, many, form, output)
    assert [path.stat() for path in made] == before
    export(run, many, form, output, overwrite=True)
    first = tmp_path / "fresh"
    export(run, many, form, first)
    size = {
        p.name.replace("fresh", "x"): p.read_bytes()
        for p in first.parent.glob("fresh.*")
    }
    for name, content in size.items():
        assert (tmp_path / name).read_bytes() == content


def test_a_folder_of_something_else_is_never_replaced(run, tmp_path):
    chosen = by_score(run, "induction", "3", True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").touch()
    (tmp_path / "file").touch()
    for form, name, said in (
        ("hf", "mine", "a folder of something else"),
        ("jsonl", "mine", "a folder is there"),
        ("hf", "file", "a file or link is there"),
        ("jsonl", "gone/x", "gone: no such folder"),
    ):
        with pytest.raises(HeadwaterError, match=said):
            export(run, chosen, form, tmp_path / name, overwrite=True)
    assert (tmp_path / "mine/precious").exists()


def test_nothing_is_left_of_an_export_that_failed(run, tmp_path, monkeypatch):
    def fails(*_):
        raise HeadwaterError("no")

    monkeypatch.setattr(exporting.tokenwriter, "write_index", fails)
    with pytest.raises(HeadwaterError, match="no"):
        export(run, by_score(run, "L1H2", "3", True), "megatron", tmp_path / "x.bin")
    assert not any((tmp_path / f"x{end}").exists() for end in (".bin", ".idx", ".tsv"))


@pytest.mark.parametrize(
    ("amount", "count"),
    [("10%", 440), (" 10 % ", 440), ("0.1%", 4), ("100%", 4400), ("7", 7)],
)
def test_amounts(amount, count):
    assert count_of(amount, 4400) == count


@pytest.mark.parametrize("amount", ["", "x", "-3", "101%", "0", "0%", "5000", "½"])
def test_amounts_that_are_none(amount):
    with pytest.raises(HeadwaterError):
        count_of(amount, 4400)


@pytest.mark.parametrize("text", ["", "5-3", "x", "3,,4", "-1", "96", "90-9999999999"])
def test_lists_of_rows_that_are_none(run, text):
    with pytest.raises(HeadwaterError, match=r"--rows|has rows 0 to 95"):
        listed(run, text, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--help", "usage: "),
        ("induction --top 5 --format jsn --output x", "invalid choice: 'jsn'"),
        ("induction --format jsonl --output x", "one of the arguments --top"),
        ("induction --top 5 --format jsonl", "required: --output"),
        ("--top 5 --whole --format jsonl --output x", "--whole goes with --arm alone"),
    ],
)
def test_what_is_mistyped_is_told_before_anything_slow(tmp_path, words, said):
    printed, loaded = command(tmp_path, "export", *words.split())
    assert said in printed
    assert not HEAVY & loaded


def test_the_command_tells_what_it_wrote(made, tmp_path):
    words = [
        "L1H2",
        "--top",
        "10%",
        "--format",
        "jsonl",
        "--output",
        "x.jsonl",
        "--run",
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "export.py", *words, made.folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = "the 6 highest of 64 rows by induction (head L1H2, probe prefix_matching, "
    assert done.stdout.startswith(f"{told}damping 0.1, scored at step 3), of ")
    assert done.stdout.endswith("written: x.jsonl\n")
    assert "export: 6/6 rows" in done.stderr
    assert len(lines(tmp_path / "x.jsonl")) == 6
