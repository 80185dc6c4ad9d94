"""Enrichment, mass, regression and overlap: by hand, planted, and where nothing is."""

import math

import numpy as np
import pandas as pd
import pytest

from headwater.catalysts import features
from headwater.catalysts.documents import MOST, Documents
from headwater.catalysts.enrichment import COLUMNS, enrichment
from headwater.catalysts.features import FEATURES, OF_TEXT, measure
from headwater.catalysts.files import Looks
from headwater.catalysts.mass import lorenz, over_training
from headwater.catalysts.regression import regression
from headwater.catalysts.rows import ScoredRows
from headwater.catalysts.summary import about_rows, without_nan
from headwater.catalysts.targets import overlap, removal

ROWS, DOCUMENTS = 2000, 400


def scored(seed: int = 0, scores: np.ndarray | None = None, **looks) -> ScoredRows:
    """Rows of documents of some length each, with domains by document."""
    stream = np.random.default_rng(seed)
    owners = np.sort(stream.integers(DOCUMENTS, size=ROWS))
    kinds = stream.integers(0, 3, DOCUMENTS)
    found = {
        name: stream.gamma(0.4, size=DOCUMENTS)[owners] * stream.random(ROWS)
        for name in FEATURES
    }
    return ScoredRows(
        scores=stream.normal(size=ROWS) if scores is None else scores,
        losses=stream.normal(3, 1, ROWS),
        domains=kinds[owners].astype(np.int64),
        names=["prose", "go", "tex", "no rows"],
        looks=Looks({**found, **looks}, owners.astype(np.int64)),
        seed=seed,
    )


# Features


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("markup", "<p>hi</p>", 7 / 9),
        ("latex", r"\frac{1}{2}", 5 / 11),
        ("tables", "a | b | c |\nprose", 11 / 16),
        ("lists", "- a\n- b\nprose", 6 / 11),
        ("code", "if (x) {\nprose", 8 / 13),
        ("keys_and_values", "name: value\nprose", 11 / 16),
        ("digits", "ab12", 0.5),
        ("repeated_lines", "one\ntwo\n one", 3 / 9),
        ("template_lines", "f(a, 1)\nf(b, 22)\nf(b, 22)", 8 / 23),
        ("template_lines", "word\nother", 0),
        ("repeated_lines", "", 0),
    ],
)
def test_features_of_text_by_hand(name, text, value):
    assert OF_TEXT[name].value(text) == pytest.approx(value)


def test_features_of_tokens_by_hand(monkeypatch):
    monkeypatch.setattr(features, "FAR", 4)
    rows = np.array(
        [
            [1, 2, 3, 4, 1, 2, 3, 4, 9, 8, 7, 6],  # one of nine 4-grams comes again
            [1, 2, 1, 2, 5, 6, 7, 0, 0, 0, 0, 0],  # the zeros pad it
            [5, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        ]
    )
    found = measure(rows, ["", "", ""], np.ones(20, np.int64))
    assert found["repeats_4"].tolist() == [1 / 9, 0, 0]
    assert found["repeats_2"].tolist() == [3 / 11, 1 / 7, 1 / 11]
    assert found["far_repeats"].tolist() == [0, 0, 0]  # its words: 64 tokens
    assert found["runs"].tolist() == [0, 0, 2 / 12]
    assert found["length"].tolist() == [12, 8, 12]
    assert found["rarity"] == pytest.approx([math.log(20)] * 3)
    assert list(found) == list(FEATURES)


def test_a_repeat_is_far_from_its_last_occurrence():
    row = np.arange(1, 201)
    row[100:104] = row[0:4]
    near = np.arange(1, 201)
    near[100:104] = near[60:64]
    found = measure(np.stack([row, near]), ["", ""], np.ones(300, np.int64))
    assert found["far_repeats"].tolist() == [1 / 197, 0]
    assert found["repeats_4"].tolist() == [1 / 197, 1 / 197]


# Ratios


def test_a_ratio_by_hand():
    """Ten documents of two rows; the band has half of those with the feature."""
    owners = np.repeat(np.arange(10), 2)
    values = (owners < 5).astype(float)[:, None]
    band = np.isin(owners, [0, 1, 9])
    found = Documents(owners, 0).ratios(values, band)
    assert found.ratio[0] == pytest.approx((2 / 3) / 0.5)
    assert (found.band[0], found.reference[0]) == (pytest.approx(2 / 3), 0.5)
    assert found.expected[0] == pytest.approx(5 * 6 / 20)
    assert math.isnan(found.low[0])  # too few documents


def test_weights_are_what_a_band_is_compared_with():
    rows = scored(1)
    band = rows.band("top_10")
    weights = (rows.domains == 1).astype(float)
    found = rows.documents.ratios(rows.losses[:, None], band, weights)
    wanted = rows.losses[band].mean() / rows.losses[rows.domains == 1].mean()
    assert found.ratio[0] == pytest.approx(wanted)


def test_a_band_without_a_frequent_feature_has_a_bound():
    owners = np.arange(1000)
    values = (owners >= 500).astype(float)[:, None]
    found = Documents(owners, 0).ratios(values, owners < 100)
    assert (found.ratio[0], found.low[0]) == (0, 0)
    assert found.high[0] == pytest.approx(-math.log(0.025) / 50)


def test_rows_of_one_document_count_once():
    """The same rows, once each a document, once ten of them one."""
    stream = np.random.default_rng(3)
    values = stream.random(200).repeat(10)[:, None]
    band = (stream.random(200) < 0.2).repeat(10)
    widths = []
    for owners in (np.arange(2000), np.arange(2000) // 10):
        found = Documents(owners, 0).ratios(values, band)
        widths.append(math.log(found.high[0] / found.low[0]))
    assert 2.5 < widths[1] / widths[0] < 4  # the square root of ten


def test_many_documents_are_thrown_together():
    found = Documents(np.arange(MOST + 5), 0)
    assert found.count == MOST
    assert len(found.of_row) == MOST + 5


def test_without_influence_no_interval_leaves_one_more_often_than_its_level():
    """Scores alike within documents, shuffled over these; intervals are at 95 %."""
    outside = []
    for seed in range(30):
        stream = np.random.default_rng(1000 + seed)
        rows = scored(seed)
        scores = (
            stream.normal(size=ROWS) + stream.normal(size=DOCUMENTS)[rows.looks.owners]
        )
        table = enrichment(scored(seed, scores))
        table = table[table["view"].isin(["all", "domain", "loss"])]
        known = table.dropna(subset="low")
        assert len(known) > 150
        outside.append(((known["low"] > 1) | (known["high"] < 1)).mean())
    assert np.mean(outside) < 0.05 + 2 * np.std(outside) / math.sqrt(30)


# Enrichment


def test_what_a_domain_explains_is_not_enriched_within_it():
    """`code` stands in one domain, `lists` in all; both go with the score."""
    rows, stream = scored(5), np.random.default_rng(9)
    code = (rows.domains == 1) * 1.0
    lists = (stream.random(ROWS) < 0.3) * 1.0
    scores = code + lists + stream.normal(size=ROWS)
    table = enrichment(scored(5, scores, code=code, lists=lists))
    assert [*table.columns] == COLUMNS
    top = table[table["band"] == "top_10"].set_index(["view", "name"])
    assert top.loc[("all", "code"), "low"] > 1.3
    assert top.loc[("domain", "code"), "ratio"] == pytest.approx(1)
    for view in ("all", "domain", "loss", "domain and loss", "within prose"):
        assert top.loc[(view, "lists"), "low"] > 1.3
    low = table[table["band"] == "bottom_10"].set_index(["view", "name"])
    assert low.loc[("all", "lists"), "high"] < 1
    assert ("all", "tex") in top.index
    assert ("all", "no rows") not in top.index


def test_the_same_seed_gives_the_same_table():
    one, other = (enrichment(scored(4)) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


# Mass


def test_lorenz_curves_by_hand():
    scores = np.array([6.0, 2, 1, 1, 0, 0, -1, -3, 0, 0] * 10)
    rows = scored(0, np.tile(scores, ROWS // 100))
    found = lorenz(rows)
    assert found["positive"]["mass"] == ROWS
    assert found["negative"]["rows"] == ROWS / 5
    assert [one["mass"] for one in found["positive"]["held"]] == pytest.approx(
        [0.06, 0.3, 0.6]
    )
    assert found["negative"]["held"][2]["mass"] == pytest.approx(0.75)
    curve = np.array(found["positive"]["curve"])
    assert (curve[0].tolist(), curve[-1].tolist()) == ([0, 0], [1, 1])
    assert (np.diff(curve[:, 1]) >= 0).all()
    for one in found["positive"]["held"]:
        assert one["low"] < one["mass"] < one["high"]


def test_scores_of_one_sign_have_no_other_mass():
    found = lorenz(scored(0, np.ones(ROWS)))["negative"]
    assert found == {"mass": 0.0, "rows": 0, "curve": [], "held": []}


def test_influence_over_training_by_hand():
    steps = np.arange(ROWS) // 20
    found = over_training(scored(0, (steps < 50) * 1.0), steps)
    assert [one["first_step"] for one in found] == [*range(0, 100, 5)]
    assert [one["mean_score"] for one in found] == [1.0] * 10 + [0.0] * 10
    assert found[0]["positive_mass"] == pytest.approx(0.1)
    assert sum(one["top_10"] for one in found) == pytest.approx(1)


# Regression


def test_repetition_and_latex_are_told_apart():
    """Where repetition makes the score, and LaTeX repeats much."""
    rows, stream = scored(6), np.random.default_rng(2)
    repeats = stream.random(ROWS) + (rows.domains == 2)
    latex = (rows.domains == 2) * 1.0 + 0.2 * stream.random(ROWS)
    scores = repeats + 0.3 * stream.normal(size=ROWS)
    found = regression(scored(6, scores, repeats_4=repeats, latex=latex))
    assert found["r2"] > 0.7
    groups = {one["group"]: one for one in found["groups"]}
    assert groups["structure"]["alone"] > 0.4  # stands for repetition
    assert groups["structure"]["lost"] < 0.01
    assert groups["repetition"]["lost"] > 0.2
    first = found["coefficients"][0]
    assert first["name"] == "repeats_4"
    assert first["low"] > 0.5
    latex_ = next(one for one in found["coefficients"] if one["name"] == "latex")
    assert latex_["low"] < 0.05


def test_nothing_is_predicted_of_shuffled_scores():
    r2, outside = [], []
    for seed in range(8):
        found = regression(scored(seed))
        r2.append(found["r2"])
        outside += [c["low"] > 0 or c["high"] < 0 for c in found["coefficients"]]
    assert abs(np.mean(r2)) < 0.01
    assert np.mean(outside) < 0.1


def test_too_few_documents_have_no_regression():
    rows = scored(0)
    few = ScoredRows(
        rows.scores,
        rows.losses,
        rows.domains,
        rows.names,
        Looks(rows.looks.features, rows.looks.owners % 7),
        0,
    )
    assert regression(few)["r2"] is None


def test_the_reports_data_is_json_without_nan():
    rows = scored(2)
    found = about_rows(rows, enrichment(rows), np.arange(ROWS), target="a", unit="L0H1")
    assert found == without_nan(found)
    assert {*found["features"]} == {*FEATURES}
    assert found["rows"] == ROWS


# Targets


def test_overlap_by_hand():
    one = np.arange(100.0)
    other = one.copy()
    other[[99, 98]] = -1, -2
    table = overlap({"a": one, "b": other, "c": -one}).set_index(["target", "other"])
    assert table.loc[("a", "b"), "overlap"].tolist() == [0, 0.6, 0.8]
    assert table.loc[("a", "c"), "overlap"].tolist() == [0, 0, 0]
    assert table.loc[("a", "b"), "chance"].tolist() == [0.01, 0.05, 0.1]
    assert table.loc[("a", "c"), "spearman"].tolist() == pytest.approx([-1] * 3)


def test_removal_by_hand():
    lines = [
        (arm, run, "final", "head", head, 0.4, 0.4 + change, change)
        for arm, run, changes in [
            ("remove_top", "remove_top-seed0", (-0.2, 0.1)),
            ("random", "random-seed0", (-0.02, 0.0)),
            ("random", "random-seed1", (0.01, 0.02)),
            ("insert_top", "insert_top-seed0", (0.5, 0.5)),
        ]
        for head, change in zip(("L0H0", "L0H1"), changes, strict=True)
    ]
    names = ["arm", "run", "what", "kind", "name", "baseline", "value", "change"]
    own = {"fraction": 0.1, "target": "a"}
    arms = {
        "remove_top": {"action": "remove", "rows": "top", **own},
        "random": {"action": "remove", "rows": "random", "fraction": 0.1},
        "insert_top": {"action": "insert", "rows": "top", **own},
    }
    table = removal(pd.DataFrame(lines, columns=names), arms, {"a": "L0H0"})
    assert table["name"].tolist() == ["L0H0", "L0H1"]
    assert table["target_of"].tolist() == ["a", ""]
    assert table["relative"].tolist() == pytest.approx([-0.5, 0.25])
    assert table["random_low"].tolist() == [-0.02, 0.0]
    assert table["random_high"].tolist() == [0.01, 0.02]
