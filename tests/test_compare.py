"""Two rankings side by side: numbers that scipy and pandas give, read directly."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import headwater
from headwater.errors import HeadwaterError
from headwater.imports import ROOT
from headwater.library.compare import compare, interval, spearman
from small_run import SmallRun
from test_commands import command
from test_imports import HEAVY

SEEDS = {"one": 0, "two": 1}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two runs on the same rows in other orders; `first` and `second`."""
    folder = tmp_path_factory.mktemp("compared") / "results"
    return {
        name: SmallRun(folder / name, seed) for seed, name in enumerate(("one", "two"))
    }


@pytest.fixture(scope="module")
def runs(results):
    return {name: headwater.open(made.folder) for name, made in results.items()}


def test_two_targets_of_a_run(results, runs):
    run, scores = runs["one"], results["one"].scores
    found = compare((run, "induction"), (run, "L0H1"))
    wanted = spearmanr(scores["induction"], scores["other"]).statistic
    assert found.correlation == pytest.approx(wanted)
    np.testing.assert_array_equal(found.rows["score_first"], scores["induction"])
    np.testing.assert_array_equal(found.rows["score_second"], scores["other"])
    assert found.rows["rank_second"].tolist() == run.scores("other")["rank"].tolist()
    assert "row_second" not in found.rows
    for line in found.overlaps.itertuples():
        count = max(1, round(line.share * 64))
        tops = [set(run.scores(n).nsmallest(count, "rank")["row"]) for n in scores]
        assert line.rows == count
        assert line.overlap == len(tops[0] & tops[1]) / count
    domains = found.domains.set_index("domain")
    wanted = run.domains("other").set_index("domain")["enrichment"]
    pd.testing.assert_series_equal(
        domains["enrichment_second"][wanted.index], wanted, check_names=False
    )


def test_a_target_agrees_with_itself(runs):
    found = compare((runs["one"], None), (runs["one"], None))
    assert found.correlation == pytest.approx(1)
    assert found.interval == pytest.approx((1, 1))
    assert (found.overlaps["overlap"] == 1).all()


def test_rows_of_two_runs_are_the_same_if_their_tokens_are(results, runs):
    found = compare((runs["one"], "induction"), (runs["two"], "induction"))
    texts = {}  # rows by their tokens; of equal ones the first is the first's partner
    for name, made in results.items():
        times, texts[name] = Counter(), {}
        for row in runs[name].rows:
            text = made.tokens[row].tobytes()
            texts[name][text, times[text]] = row
            times[text] += 1
    one, two = texts.values()
    shared = [text for text in one if text in two]
    assert len(found.rows) == len(shared) < 64
    assert found.counts == (64, 64)
    assert found.rows["row"].tolist() == [one[text] for text in shared]
    assert found.rows["row_second"].tolist() == [two[text] for text in shared]
    for name, column, score in (
        ("one", "row", "score_first"),
        ("two", "row_second", "score_second"),
    ):
        scores = runs[name].scores().set_index("row")["score"]
        assert found.rows[score].tolist() == scores[found.rows[column]].tolist()


def test_rows_that_are_high_for_one_only(runs):
    run = runs["one"]
    found = compare((run, "induction"), (run, "other"))
    for side, other in (("first", "second"), ("second", "first")):
        table = found.only(side, 2)
        top = set(found.rows.nlargest(3, f"score_{side}")["row"])  # 5 % of 64
        lowest = found.rows[found.rows["row"].isin(top)].nsmallest(2, f"score_{other}")
        assert table["row"].tolist() == lowest["row"].tolist()


def test_the_interval_covers_as_often_as_it_says():
    random, truth, hits = np.random.default_rng(0), 0.4, 0
    wanted = 6 / np.pi * np.arcsin(truth / 2)  # Spearman's of a normal pair
    for _ in range(400):
        one, other = random.normal(size=(2, 80))
        pair = one, truth * one + np.sqrt(1 - truth**2) * other
        low, high = interval(spearman(*pair), 80)
        hits += low <= wanted <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_what_is_constant_or_few_has_no_interval():
    assert np.isnan(spearman(np.ones(9), np.arange(9.0)))
    assert np.isnan(interval(float("nan"), 50)).all()
    assert np.isnan(interval(0.5, 3)).all()


def test_runs_with_other_tokenizers_are_not_compared(results, runs, tmp_path):
    other = SmallRun(tmp_path / "other")
    path = other.folder / "corpus/tokenizer/tokenizer.json"
    path.write_text(path.read_text() + " ")
    other.seal("corpus/tokenizer")
    with pytest.raises(HeadwaterError, match="their tokenizers differ"):
        compare((runs["one"], None), (headwater.open(other.folder), None))


def test_too_few_rows_in_common_are_not_compared(runs, monkeypatch):
    monkeypatch.setattr("headwater.library.compare.FEWEST", 60)
    with pytest.raises(HeadwaterError, match="rows are in both windows, too few"):
        compare((runs["one"], None), (runs["two"], None))


def test_the_command_shows_both_and_writes_every_row(results, tmp_path):
    folders = [str(made.folder) for made in results.values()]
    words = ["induction", "other", "--run", folders[0], "--output", "x.tsv"]
    done = subprocess.run(
        [sys.executable, ROOT / "compare.py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "first   induction (head L1H2, probe prefix_matching, damping" in done.stdout
    assert "Spearman correlation " in done.stdout
    assert "\\u202e" in done.stdout  # a domain's name, made harmless
    assert "\u202e" not in done.stdout
    table = pd.read_csv(tmp_path / "x.tsv", sep="\t", keep_default_na=False)
    wanted = results["one"].scores["other"]
    np.testing.assert_allclose(table["score_second"], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--help", "usage: "),
        ("induction", "name a second target, or another run with --with"),
        ("induction other --rows 0", "--rows"),
    ],
)
def test_what_is_mistyped_is_told_before_anything_slow(tmp_path, words, said):
    printed, loaded = command(tmp_path, "compare", *words.split())
    assert said in printed
    assert not HEAVY & loaded


def test_what_is_not_there_is_told_in_one_line(results, tmp_path):
    folder = str(results["one"].folder)
    for words, said in (
        (
            ["induction", "othr", "--run", folder],
            'no target "othr"; did you mean "other"',
        ),
        (["a", "b"], "results/laptop: no such folder"),
    ):
        printed, _ = command(tmp_path, "compare", *words)
        assert said in printed
        assert "Traceback" not in printed
