"""Linear datamodeling scores on banks with a known answer; the bank's files."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from headwater.errors import HeadwaterError
from headwater.evaluation.bank import (
    RESPONSES,
    Bank,
    changes,
    lacking,
    read_bank,
    write_bank,
)
from headwater.evaluation.lds import AGAIN, ALL, COLUMNS, lds_table, predictions
from headwater.interventions.facts import RowFacts
from headwater.interventions.matching import subset_rows
from headwater.report.judging import beside, scores_of_file

ROWS, FIRST = 600, 3200
STREAM = np.random.default_rng(1)
TRUE = STREAM.normal(size=ROWS)  # what each row does for the head
DOMAINS = np.repeat([0, 1, 2], [300, 200, 100])
NAMES = np.array(["prose", "code\twith\nlines", "NA"], object)


def bank(
    arms: dict[str, tuple[int, float, int]],
    truth: np.ndarray = TRUE,
    alike: tuple[str, ...] = ("domain",),
    noise: float = 0.0,
    seed: int = 0,
) -> Bank:
    """A bank whose runs change by the sum of what the rows they lack do.

    Args:
        arms: runs, fraction and order of each.
    """
    facts, lines, picked = RowFacts(DOMAINS, {}, [], alike), [], []
    for arm, (runs, fraction, order) in arms.items():
        for draw in range(runs):
            generator = np.random.default_rng(round(1000 * fraction) + draw)
            picked.append(subset_rows(facts, round(fraction * ROWS), generator))
            lines.append((f"{arm}-seed{draw}", arm, draw, fraction, order))
    runs = pd.DataFrame(lines, columns=["run", "arm", "draw", "fraction", "order"])
    generator = np.random.default_rng(seed)
    for name, sign in RESPONSES.items():
        sums = np.array([-truth[rows].sum() for rows in picked])
        runs[name] = sign * (sums + noise * generator.normal(size=len(sums)))
    return Bank(runs, lacking(picked, ROWS), FIRST, NAMES[DOMAINS].tolist())


SMALL = {"small": (60, 0.05, 0)}


def line(table: pd.DataFrame, **keys: object) -> pd.Series:
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_perfect_scores_are_one_with_slope_one_for_every_change() -> None:
    table = lds_table({"true": TRUE}, bank(SMALL))
    assert list(table.columns) == COLUMNS
    assert table["response"].tolist() == [*RESPONSES]
    for name in ("lds", "lds_mix", "low", "high", "mix_low"):
        np.testing.assert_allclose(table[name], 1, atol=1e-9)
    for name in ("slope", "slope_low", "slope_high"):
        np.testing.assert_allclose(table[name], 1, rtol=1e-6)
    turned = lds_table({"false": -2 * TRUE}, bank(SMALL))
    np.testing.assert_allclose(turned["lds"], -1, atol=1e-9)
    np.testing.assert_allclose(turned["slope"], -0.5, rtol=1e-6)


def test_fair_scores_have_the_correlation_of_their_values() -> None:
    """Of normal sums with correlation r, Spearman's is 6 / pi asin(r / 2)."""
    scores = TRUE + np.random.default_rng(3).normal(size=ROWS)
    known = bank({"small": (250, 0.05, 0)}, alike=())
    table = lds_table({"fair": scores}, known)
    expected = 6 / np.pi * np.arcsin(np.corrcoef(scores, TRUE)[0, 1] / 2)
    own = line(table, response="probe")
    assert abs(own["lds"] - expected) < 0.1
    assert own["low"] < expected < own["high"]
    assert own["high"] - own["low"] < 0.3
    slope = stats.linregress(predictions(scores, known), known.runs["probe"]).slope
    assert own["slope"] == pytest.approx(slope)


def test_shuffled_scores_have_intervals_that_hold_zero() -> None:
    """In 95 of 100 shuffles; 80 and 100 are beyond what chance does to that."""
    known = bank(SMALL, noise=1.0)
    shuffled = {
        str(seed): np.random.default_rng(seed).permutation(TRUE) for seed in range(100)
    }
    table = lds_table(shuffled, known)
    own = table[table["response"] == "probe"]
    for low, high in (("low", "high"), ("mix_low", "mix_high")):
        assert 80 < ((own[low] < 0) & (own[high] > 0)).sum() < 100
    assert 80 < ((own["slope_low"] < 0) & (own["slope_high"] > 0)).sum() < 100


def test_what_a_score_knows_from_the_domain_alone_is_taken_out() -> None:
    by_domain = np.array([3.0, 0.1, -2.0])[DOMAINS]
    truth = by_domain + 0.3 * TRUE
    scores = {"domain": by_domain, "true": truth, "rest": TRUE}
    drawn = lds_table(scores, bank({"any": (80, 0.1, 0)}, truth, alike=()))
    own = line(drawn, response="probe", score="domain")
    assert own["lds"] > 0.9
    assert np.isnan(own["lds_mix"])
    for name in ("true", "rest"):
        assert line(drawn, response="probe", score=name)["lds_mix"] > 0.999
    strata = lds_table(scores, bank({"equal": (80, 0.1, 0)}, truth))
    empty = line(strata, response="probe", score="domain")
    assert empty[["lds", "lds_mix", "slope"]].isna().all()
    assert line(strata, response="probe", score="rest")["lds"] > 0.999


def test_a_score_of_the_domain_and_noise_predicts_nothing_beyond_it() -> None:
    by_domain = np.array([3.0, 0.1, -2.0])[DOMAINS]
    noisy = by_domain + np.random.default_rng(9).normal(size=ROWS)
    known = bank({"any": (80, 0.1, 0)}, by_domain + 0.3 * TRUE, alike=())
    own = line(lds_table({"noisy": noisy}, known), response="probe")
    assert own["low"] > 0.5
    assert own["mix_low"] < 0 < own["mix_high"]


def test_too_few_runs_for_the_domains_say_nothing_beyond_them() -> None:
    """What three numbers leave of four runs is one number: all scores would agree."""
    few, enough = (
        lds_table({"true": TRUE}, bank({"any": (runs, 0.1, 0)}, alike=()))
        for runs in (5, 6)
    )
    assert few["lds_mix"].isna().all()
    assert enough["lds_mix"].notna().all()


def test_arms_are_judged_alone_and_together() -> None:
    table = lds_table({"true": TRUE}, bank({"half": (6, 0.5, 0), **SMALL}))
    counts = table[table["response"] == "icl"].set_index("arm")["n"]
    assert counts.to_dict() == {"half": 6, "small": 60, ALL: 66}
    few = lds_table({"true": TRUE}, bank({"few": (2, 0.5, 0), **SMALL}))
    assert {*few["arm"]} == {"small", ALL}


def test_that_more_rows_do_more_is_no_merit_of_a_score() -> None:
    """Any positive score predicts that halves change more than twentieths."""
    known = bank({"half": (20, 0.5, 0), **SMALL}, np.exp(TRUE), noise=1.0)
    scores = {"ones": np.ones(ROWS), "other": 1 + np.random.default_rng(5).random(ROWS)}
    own = lds_table(scores, known)
    assert np.isnan(line(own, score="ones", arm=ALL, response="probe")["lds"])
    other = line(own, score="other", arm=ALL, response="probe")
    assert other["low"] < 0 < other["high"]


def test_the_same_subsets_in_another_order_are_the_ceiling() -> None:
    """Runs whose change is half chance agree to about .5: its variance's share."""
    spread = np.std([bank(SMALL).runs["probe"]])
    arms = {"small": (150, 0.05, 0), "again": (150, 0.05, 2)}
    table = lds_table({"true": TRUE}, bank(arms, noise=spread))
    ceiling = line(table, score=AGAIN, response="probe")
    assert (ceiling["arm"], ceiling["n"]) == ("again", 150)
    assert ceiling["low"] < 6 / np.pi * np.arcsin(0.25) < ceiling["high"]
    own = line(table, score="true", arm="again", response="probe")
    assert own["lds"] == pytest.approx(np.sqrt(0.5), abs=0.1)
    assert {*table["arm"]} == {"small", "again"}  # no mean over several orders
    other = lds_table({"true": TRUE}, bank({**SMALL, "again": (9, 0.06, 2)}))
    assert AGAIN not in {*other["score"]}


def test_changes_that_were_not_measured_have_no_lines() -> None:
    known = bank(SMALL)
    known.runs.loc[3, "icl"] = np.nan
    assert "icl" not in {*lds_table({"true": TRUE}, known)["response"]}


def test_predictions_are_sums_over_rows() -> None:
    known = bank({**SMALL, "half": (5, 0.5, 0)})
    slow = []
    for run in range(len(known.runs)):
        total = 0.0
        for row in range(ROWS):
            if known.lacks[run, row]:
                total -= TRUE[row]
        slow.append(total)
    np.testing.assert_allclose(predictions(TRUE, known), slow, atol=1e-9)
    mix = [np.bincount(DOMAINS[known.lacks[[run]].indices]) for run in range(65)]
    np.testing.assert_array_equal(known.mix(), mix)


def test_changes_are_the_runs_minus_the_baseline() -> None:
    zeros = dict.fromkeys(["probe_change", "copy_gain_change"], 0.0)
    lines = [
        {"arm": "baseline", "draw": 0, "final_score": 0.8, "final_icl": -0.3, **zeros},
        {"arm": "top", "draw": 0, "final_score": 0.1, "final_icl": -0.1, **zeros},
        {"arm": "small", "draw": 1, "final_score": 0.7, "final_icl": -0.1, **zeros},
        {"arm": "small", "draw": 0, "final_score": 0.9, "final_icl": -0.4, **zeros},
    ]
    effects = pd.DataFrame(lines).assign(natural_copy_gain_change=0.25)
    means = [("L1H0", "mean", "small-seed0", 0.2), ("L1H1", "mean", "small-seed0", 9.0)]
    means += [("L1H0", "final", "small-seed1", 8.0), ("L1H0", "mean", "top-seed0", 7.0)]
    means += [("L1H0", "mean", "small-seed1", -0.4)]
    specificity = pd.DataFrame(means, columns=["name", "what", "run", "change"])
    found = changes(effects, specificity, "L1H0", ["small"])
    assert found["run"].tolist() == ["small-seed1", "small-seed0"]
    np.testing.assert_allclose(found["mean_score"], [-0.4, 0.2])
    np.testing.assert_allclose(found["final_score"], [-0.1, 0.1])
    np.testing.assert_allclose(found["icl"], [0.2, -0.1])
    np.testing.assert_allclose(found["natural_copy_gain"], 0.25)


# Files


def test_a_bank_comes_back_as_it_was_and_has_like_bytes(tmp_path: Path) -> None:
    known = bank({**SMALL, "half": (5, 0.5, 1)}, noise=1.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_bank(tmp_path / name, known)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    found = read_bank(tmp_path / "one")
    pd.testing.assert_frame_equal(found.runs, known.runs[list(found.runs)])
    assert (found.lacks != known.lacks).nnz == 0
    assert (found.first, found.domains) == (FIRST, known.domains)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("runs.tsv", ("probe", "prob"), "runs.tsv: has no column probe"),
        ("runs.tsv", ("small-seed1\t", "small-seed0\t"), "runs.tsv: a run stands"),
        ("runs.tsv", ("small\t0\t0.05", "small\t0\tmuch"), "fraction is not of numb"),
        ("rows.tsv.gz", ("small-seed1\t", "none\t"), "run 'none' is not in runs.tsv"),
        ("rows.tsv.gz", ("seed1\t3", "seed1\t99999"), "a row is not in window.tsv.gz"),
        ("rows.tsv.gz", ("seed1\t3", "seed1\t3.5"), "row is not of whole numbers"),
        ("window.tsv.gz", ("3205\t", "3305\t"), "rows do not follow each other"),
    ],
)
def test_a_damaged_bank_is_told_in_one_line(tmp_path, name, change, said) -> None:
    write_bank(tmp_path, bank(SMALL))
    path = tmp_path / name
    packed = name.endswith(".gz")
    text = (
        gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    ).decode()
    assert change[0] in text
    damaged = text.replace(*change).encode()
    path.write_bytes(gzip.compress(damaged) if packed else damaged)
    with pytest.raises(HeadwaterError) as error:
        read_bank(tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def user_file(path: Path, rows: range, scores: np.ndarray) -> Path:
    pairs = zip(rows, scores, strict=True)
    lines = [f"{row}\t{float(score)!r}" for row, score in pairs]
    path.write_text("\n".join(["row\tscore", *lines]), encoding="utf-8")
    return path


def test_scores_of_a_file_are_judged_as_those_of_the_experiment(tmp_path) -> None:
    known = bank({**SMALL, "half": (6, 0.5, 0), "again": (9, 0.05, 1)}, noise=2.0)
    mine = user_file(tmp_path / "mine.tsv", known.rows, TRUE)
    np.testing.assert_array_equal(scores_of_file(mine, known), TRUE)
    own = lds_table({"mine.tsv": scores_of_file(mine, known)}, known)
    table = lds_table({"mda": TRUE, "random": TRUE[::-1]}, known)
    said = "\n".join(beside(own, table))
    same = line(own, arm="small", response="probe")["lds"]
    assert same == line(table, score="mda", arm="small", response="probe")["lds"]
    assert f"{same:+.2f}" in said
    assert "small, 60 runs" in said
    assert "half, 6 runs" in said
    lines = said.splitlines()
    assert f"> {AGAIN}" not in said
    marked = next(n for n, text in enumerate(lines) if "> mine.tsv" in text)
    assert "mda" in lines[marked + 1] or "mda" in lines[marked - 1]


def test_a_file_without_a_score_for_every_row_is_refused(tmp_path) -> None:
    known = bank(SMALL)
    short = user_file(tmp_path / "short.tsv", known.rows[5:], TRUE[5:])
    with pytest.raises(HeadwaterError, match=r"5 of the window's 600 rows have no sco"):
        scores_of_file(short, known)
    beyond = user_file(tmp_path / "beyond.tsv", range(0, ROWS), TRUE)
    with pytest.raises(HeadwaterError, match="line 2: row 0 is not in the window"):
        scores_of_file(beyond, known)
