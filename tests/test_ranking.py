"""Tables made from scores, scores on disk, and the division of rows among jobs."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.influence import ranking
from headwater.influence.files import (
    Product,
    read_losses,
    read_product,
    read_scores,
    read_tokens,
    write_product,
    write_scores,
    write_tokens,
)
from headwater.influence.ranking import (
    agreement,
    domain_table,
    held_by_most,
    ranked_table,
    three_digits,
    top_agreement,
    top_overlap,
)
from headwater.models.sections import unit_of
from headwater.shares import share_of
from headwater.tables import read_table, write_table
from test_corpus_support import small_config
from test_heads import DOMAINS, NAMES, window_rows

CONFIG = small_config()
MODEL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}
ROWS = 32  # of the window: global rows 24 to 55
WINDOW_DOMAINS = DOMAINS[24:56]
SCORES = np.random.default_rng(5).normal(size=ROWS).astype(np.float32)
LOSSES = np.random.default_rng(6).random(ROWS).astype(np.float32)


@pytest.fixture
def window(tmp_path):
    return window_rows(tmp_path)


def check_lines(table) -> None:
    """Each line tells of one row of the window, whatever its rank."""
    local = table["row"].to_numpy() - 24
    assert table["step"].tolist() == ((local + 24) // 8).tolist()
    assert table["domain"].tolist() == [NAMES[i] for i in WINDOW_DOMAINS[local]]
    assert table["score"].tolist() == SCORES[local].tolist()
    assert table["loss"].tolist() == LOSSES[local].tolist()


def test_few_rows_are_all_ranked(window):
    table = ranked_table(SCORES, LOSSES, window)
    assert table["rank"].tolist() == list(range(1, ROWS + 1))
    assert sorted(table["row"]) == list(range(24, 56))
    assert (np.diff(table["score"]) <= 0).all()
    check_lines(table)


@pytest.mark.parametrize("count", [5, 15, 16])
def test_the_highest_and_the_lowest_are_listed_in_order(window, monkeypatch, count):
    monkeypatch.setattr(ranking, "EXTREMES", count)
    table = ranked_table(SCORES, LOSSES, window)
    ranks = [*range(1, count + 1), *range(ROWS - count + 1, ROWS + 1)]
    assert table["rank"].tolist() == ranks
    ordered = np.sort(SCORES)[::-1]
    assert table["score"].tolist() == [ordered[rank - 1] for rank in ranks]
    check_lines(table)


def test_equal_scores_keep_the_order_of_training(window):
    table = ranked_table(np.zeros(ROWS), LOSSES, window)
    assert table["row"].tolist() == list(range(24, 56))


def test_shares_of_domains_add_up_and_their_ratio_is_the_enrichment(window):
    table = domain_table(SCORES, window).set_index("domain")
    assert set(table.index) == set(NAMES)
    assert table["share"].sum() == pytest.approx(1)
    assert table["share_top"].sum() == pytest.approx(1)
    assert table["rows"].sum() == ROWS
    ratio = table["share_top"] / table["share"]
    np.testing.assert_allclose(table["enrichment"], ratio)
    assert table["enrichment"].is_monotonic_decreasing
    top = np.argsort(-SCORES)[:3]  # 10 % of 32 rows
    for number, name in enumerate(NAMES):
        line, mine = table.loc[name], number == WINDOW_DOMAINS
        assert line["rows"] == mine.sum()
        assert line["share"] == pytest.approx(mine.mean())
        assert line["share_top"] == pytest.approx(
            (WINDOW_DOMAINS[top] == number).mean()
        )
        assert line["mean_score"] == pytest.approx(SCORES[mine].mean(), rel=1e-5)


def test_a_domain_without_rows_is_listed_last_without_enrichment(window, monkeypatch):
    domains = np.minimum(WINDOW_DOMAINS, 1)
    monkeypatch.setattr(window, "domains", lambda: domains)
    line = domain_table(SCORES, window).iloc[-1]
    assert line["domain"] == "records"
    assert line["rows"] == line["share"] == line["share_top"] == 0
    assert np.isnan(line["enrichment"])


@pytest.mark.filterwarnings("error")
def test_the_smallest_windows_have_a_top(window, monkeypatch):
    """10 % of four rows is less than half a row."""
    monkeypatch.setattr(window, "domains", lambda: np.array([0, 1, 1, 2]))
    table = domain_table(np.array([1.0, 4.0, 2.0, 3.0]), window).set_index("domain")
    assert table["share_top"].to_dict() == {"code": 0, "prose": 1, "records": 0}


@pytest.mark.parametrize(
    "names",
    [["natural", "NA", "nan"], ["a\tb", 'say "x"', "x\ry"], ["x", "x\x00", "X"]],
)
def test_domains_keep_their_names_in_the_tables(window, tmp_path, names):
    window.rows.domain_names = names
    tables = domain_table(SCORES, window), ranked_table(SCORES, LOSSES, window)
    found = []
    for table in tables:
        write_table(tmp_path / "a.tsv", table)
        found.append(read_table(tmp_path / "a.tsv")["domain"].tolist())
    assert sorted(found[0]) == sorted(names)
    order = np.argsort(-SCORES, kind="stable")
    assert found[1] == [names[domain] for domain in WINDOW_DOMAINS[order]]


def test_the_table_says_over_how_many_checkpoints_a_score_is_the_mean(window):
    counts = np.arange(ROWS) // 8 + 1
    table = ranked_table(SCORES, LOSSES, window, counts)
    assert table["checkpoints"].tolist() == [*counts[table["row"] - 24]]
    assert set(ranked_table(SCORES, LOSSES, window)["checkpoints"]) == {1}


# Agreement of stored with exact scores


def test_equal_orders_agree_and_opposite_ones_do_not():
    exact = np.arange(40.0)
    assert agreement(exact**3, exact) == (pytest.approx(1), 1)
    assert agreement(-exact, exact) == (pytest.approx(-1), 0)


def test_agreement_of_known_vectors():
    exact = np.arange(20.0)
    stored = exact.copy()
    stored[[19, 17]] = stored[[17, 19]]  # the highest and the third change places
    spearman, overlap = agreement(stored, exact)
    assert overlap == 0.5  # one of the two highest
    # Spearman's formula: two ranks are 2 off.
    assert spearman == pytest.approx(1 - 6 * (4 + 4) / (20 * (400 - 1)))


def test_a_small_sample_still_has_a_top_row():
    assert agreement(np.array([1.0, 2, 3]), np.array([1.0, 2, 4]))[1] == 1


def test_the_top_tells_what_a_rank_correlation_hides():
    """The highest row twice too high, and one of the top with another sign."""
    exact = np.arange(1.0, 101)
    stored = exact.copy()
    stored[99], stored[92] = 200, -1
    assert agreement(stored, exact)[0] > 0.94
    assert top_agreement(stored, exact, 0.01) == (1, 2, 1)
    overlap, ratio, sign = top_agreement(stored, exact, 0.1)
    assert (overlap, sign) == (0.9, 0.9)
    assert ratio == pytest.approx((8 + 2 - 1 / 93) / 10)
    assert np.isnan(top_agreement(np.zeros(5), np.zeros(5), 0.1)[1])


@settings(derandomize=True, deadline=None)
@given(st.floats(-1, 2))
def test_only_one_and_more_read_as_one(value):
    text = three_digits(value)
    assert re.fullmatch(r"-?\d\.\d{3}", text)
    assert (float(text) >= 1) == (value >= 1)
    assert float(text) == pytest.approx(value, abs=0.001)


# On disk


def write_shards(folder, sizes) -> list:
    paths, start = [], 0
    for number, size in enumerate(sizes):
        part = slice(start, start + size)
        paths.append(folder / f"{number:04d}.zarr")
        stamp = identity("corpus", CONFIG, shard=f"{number:04d}")
        write_scores(paths[-1], start, SCORES[part], LOSSES[part], stamp)
        start += size
    return paths


@pytest.mark.parametrize("sizes", [[32], [10, 22], [1, 30, 1]])
def test_scores_come_back_in_order_whatever_the_shards(tmp_path, sizes):
    paths = write_shards(tmp_path, sizes)
    np.testing.assert_array_equal(read_scores(paths, CONFIG), SCORES)
    np.testing.assert_array_equal(read_losses(paths, CONFIG), LOSSES)
    with pytest.raises(HeadwaterError, match="seed is 0 there, 1 here"):
        read_scores(paths, small_config(seed=1))


@pytest.mark.parametrize("label", ["L1H3", "L0MLP", "L1H3+L0H2"])
@pytest.mark.parametrize("mode", ["qk", "qkvo"])
def test_a_product_comes_back_with_its_target_and_unit(tmp_path, label, mode):
    config = {**CONFIG, "model": MODEL, "gradients": {"mode": mode}}
    unit = unit_of(label, config)
    vector = np.random.default_rng(0).normal(size=unit.size)
    product = Product("copies", unit, vector)
    write_product(tmp_path / "a.h5", product, identity("corpus", config))
    found = read_product(tmp_path / "a.h5", config)
    assert (found.target, found.unit) == ("copies", unit)
    assert (found.unit.blocks, found.unit.head) == (unit.blocks, unit.head)
    assert found.vector.dtype == np.float64
    np.testing.assert_array_equal(found.vector, vector)


def test_what_is_known_of_tokens_comes_back_by_row(tmp_path):
    scores = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    rows, written = np.array([40, 7, 12]), np.arange(30).reshape(3, 2, 5)
    stamp = identity("corpus", CONFIG)
    write_tokens(tmp_path / "a.h5", rows, scores, written, stamp)
    found = read_tokens(tmp_path / "a.h5", CONFIG)
    assert list(found) == rows.tolist()
    np.testing.assert_array_equal(found[7].scores, scores[1])
    np.testing.assert_array_equal(found[7].written, written[1])


# Jobs


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 32, 40])
def test_shards_partition_the_rows_evenly(shards):
    parts = [share_of(ROWS, shards, index) for index in range(shards)]
    assert [row for part in parts for row in part] == list(range(ROWS))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_what_the_rows_with_most_of_a_mass_hold() -> None:
    held = held_by_most(np.array([1.0, 0.0, 5.0, 2.0]))
    np.testing.assert_allclose(held, [0, 5 / 8, 7 / 8, 1, 1])
    assert len(held_by_most(np.zeros(3))) == 0


def test_the_overlap_of_two_tops() -> None:
    first = np.array([4.0, 3.0, 2.0, 1.0])
    assert top_overlap(first, first, 0.5) == 1
    assert top_overlap(first, -first, 0.5) == 0
    assert top_overlap(first, np.array([4.0, 1.0, 2.0, 3.0]), 0.5) == 0.5
    assert top_overlap(first, first, 0.01) == 1  # of one row at least
