"""Kinds of rows by facts: each on data with a known answer; matching and its report."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.interventions.arms import overlap, pick_rows
from headwater.interventions.facts import (
    RowFacts,
    fact_files,
    read_facts,
    write_facts,
)
from headwater.interventions.kinds import KINDS, facts_of, is_compared
from headwater.interventions.matching import achieved
from test_corpus_support import small_config

ROWS = 400
STREAM = np.random.default_rng(0)
DOMAINS = STREAM.integers(0, 3, ROWS)
LOSS = STREAM.normal(size=ROWS)
SCORE = LOSS + 0.3 * STREAM.normal(size=ROWS)  # high where the loss is
NUMBERS = {"score": SCORE, "loss": LOSS, "time": np.linspace(0, 1, ROWS)}


def facts(*alike: str, disjoint: bool = False, **numbers: np.ndarray) -> RowFacts:
    return RowFacts(DOMAINS, {**NUMBERS, **numbers}, [*"abc"], alike, disjoint)


def pick(kind: str, count: int, known: RowFacts, seed: int = 0) -> np.ndarray:
    return pick_rows(kind, count, known, np.random.default_rng(seed))


# Which facts and files a kind needs


def arm(rows: str, **keys: object) -> dict:
    target = {"target": "own"} if KINDS[rows].scored else {}
    return {"action": "remove", "rows": rows, "fraction": 0.1, **target, **keys}


@pytest.mark.parametrize(
    ("settings_", "files"),
    [
        (arm("random"), []),
        (arm("subset", strata=["domain", "time"]), []),
        (arm("subset", strata=["length"]), ["interventions/facts/text.h5"]),
        (arm("repetition"), ["interventions/facts/text.h5"]),
        (arm("file", file="mine.tsv"), []),
        (arm("top"), ["influence/own.zarr"]),
        (arm("matched"), ["influence/own.zarr"]),
        (
            arm("matched", match=["domain", "loss", "repetition", "length", "time"]),
            ["influence/own.zarr", "interventions/facts/text.h5"],
        ),
        (
            arm("lexical"),
            ["influence/own.zarr", "interventions/facts/own.lexical.h5"],
        ),
        *(
            (arm(kind), ["influence/own.zarr", "interventions/facts/own.gradients.h5"])
            for kind in ("gradient_norm", "gradient_dot")
        ),
    ],
    ids=lambda value: value["rows"] if isinstance(value, dict) else "",
)
def test_an_arm_waits_for_what_it_needs_and_no_more(settings_, files):
    assert fact_files(facts_of(settings_), settings_.get("target")) == files


def test_controls_with_a_target_are_compared_with_its_top_rows():
    compared = {kind for kind in KINDS if is_compared(arm(kind))}
    own = {name: kind for name, kind in KINDS.items() if not kind.written}
    controls = {name for name, kind in own.items() if kind.role == "control"}
    assert compared == controls - {"repetition"}
    assert all(KINDS[kind].explains == "top" for kind in controls)


def test_facts_come_back_from_disk_and_are_refused_by_another_config(tmp_path):
    path, config = tmp_path / "facts.h5", small_config()
    write_facts(path, NUMBERS, identity("corpus", config))
    found = read_facts(path, config)
    assert found.keys() == NUMBERS.keys()
    for name, values in NUMBERS.items():
        np.testing.assert_array_equal(found[name], values)
    with pytest.raises(HeadwaterError, match="made under another config"):
        read_facts(path, small_config(seed=1))


# Kinds that take the highest


@pytest.mark.parametrize(
    "kind", ["loss", "repetition", "lexical", "gradient_norm", "gradient_dot", "file"]
)
def test_a_kind_takes_the_rows_with_the_most_of_its_fact(kind):
    values = np.random.default_rng(7).permutation(ROWS).astype(float)
    picked = pick(kind, 30, facts(**{kind: values}))
    assert picked.tolist() == np.flatnonzero(values >= ROWS - 30).tolist()


def test_a_control_beside_the_top_rows_is_filled_up_by_the_next():
    top = pick("top", 40, facts())
    own, other = (pick("loss", 40, facts(disjoint=d)) for d in (False, True))
    shared = np.intersect1d(own, top)
    assert 0 < len(shared) < 40
    assert overlap("loss", own, facts()) == len(shared) / 40
    assert overlap("loss", other, facts()) == 0
    left = np.setdiff1d(np.arange(ROWS), top)
    assert sorted(LOSS[other]) == sorted(LOSS[left])[-40:]


def test_a_file_gives_its_best_rows_and_no_others():
    values = np.full(ROWS, -np.inf)
    values[[5, 9, 300]] = 1.0, -7.0, 3.0
    known = facts(file=values)
    assert pick("file", 2, known).tolist() == [5, 300]
    assert pick("file", 3, known).tolist() == [5, 9, 300]
    with pytest.raises(HeadwaterError, match="4 rows wanted, but its file lists 3"):
        pick("file", 4, known)


# Cells


def test_cells_are_domains_and_deciles_with_ties_together():
    ties = np.repeat([1.0, 2.0], [ROWS // 2, ROWS // 2])
    cells = facts("domain", "loss", loss=ties).cells()
    assert len(np.unique(cells)) == 6
    deciles = facts("time").cells()
    assert np.bincount(deciles).tolist() == [ROWS // 10] * 10
    assert (np.diff(deciles) >= 0).all()
    assert not facts().cells().any()


def test_strata_are_the_top_rows_inside_each_cell():
    known = facts("time")
    picked = pick("strata", 40, known)
    for decile in range(10):
        rows = np.arange(40 * decile, 40 * decile + 40)
        best = rows[np.argsort(-SCORE[rows])[:4]]
        assert sorted(best) == [row for row in picked if row in rows]
    np.testing.assert_array_equal(pick("strata", 40, facts()), pick("top", 40, facts()))


def test_strata_of_the_loss_take_what_the_loss_does_not_say():
    inside, top = pick("strata", 40, facts("loss")), pick("top", 40, facts())
    mean = LOSS.mean()
    assert abs(LOSS[inside].mean() - mean) < 0.3
    assert LOSS[top].mean() - mean > 1


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    domains=st.lists(st.integers(0, 3), min_size=3, max_size=40),
    share=st.floats(0.05, 1.0),
    kind=st.sampled_from(["strata", "subset"]),
)
def test_every_cell_gives_the_same_share(domains, share, kind):
    count = max(1, round(share * len(domains)))
    numbers = {"score": np.random.default_rng(1).normal(size=len(domains))}
    known = RowFacts(np.array(domains), numbers, (), ("domain",))
    picked = pick(kind, count, known)
    assert len(np.unique(picked)) == count
    exact = np.bincount(domains, minlength=4) * count / len(domains)
    found = np.bincount(known.domains[picked], minlength=4)
    assert (np.abs(found - exact) < 1).all()


def test_subsets_differ_and_have_one_mix():
    draws = [pick("subset", 100, facts("domain"), seed) for seed in range(5)]
    assert len({tuple(draw) for draw in draws}) == 5
    assert len({tuple(np.bincount(DOMAINS[draw])) for draw in draws}) == 1
    anything = pick("subset", 100, facts())
    assert len(np.unique(anything)) == 100


# Matching


@pytest.mark.parametrize(
    "alike", [["domain"], ["loss"], ["domain", "loss"], ["domain", "loss", "time"]]
)
def test_matched_rows_have_the_composition_of_the_top_rows(alike):
    known = facts(*alike, disjoint=True)
    picked, top = pick("matched", 20, known), pick("top", 20, facts())
    assert not np.intersect1d(picked, top).size
    assert sorted(DOMAINS[picked]) == sorted(DOMAINS[top]) or "domain" not in alike
    cells, others = known.cells(), np.setdiff1d(np.arange(ROWS), top)
    room = np.bincount(cells[others], minlength=cells.max() + 1)
    wanted = np.bincount(cells[top], minlength=cells.max() + 1)
    found = np.bincount(cells[picked], minlength=cells.max() + 1)
    assert (found >= np.minimum(wanted, room)).all()
    short = float(np.maximum(wanted - room, 0).sum())
    assert {line["missed"] for line in achieved(known, picked)} == {short}


def test_rows_matched_in_loss_have_the_loss_of_the_top_rows():
    matched = {
        alike: achieved(facts(alike, disjoint=True), pick("matched", 40, own))
        for alike in ("domain", "loss")
        for own in [facts(alike, disjoint=True)]
    }
    distance = {
        alike: next(abs(line["distance"]) for line in lines if line["fact"] == "loss")
        for alike, lines in matched.items()
    }
    assert distance["domain"] > 1
    # The top rows hold most of the highest decile: the nearest ones fill it.
    assert distance["loss"] < 0.6


def test_the_nearest_rows_fill_a_cell_that_is_short():
    loss = np.arange(100.0)
    score = np.where(loss >= 95, 10.0, -loss)  # the top 5 are the highest losses
    numbers = {"score": score, "loss": loss}
    known = RowFacts(np.zeros(100, int), numbers, (), ("loss",), True)
    assert (pick("matched", 5, known) >= 90).all()  # their decile has 5 others
    few = replace(known, numbers={**numbers, "score": np.where(loss >= 92, 10, -loss)})
    picked = pick("matched", 8, few)
    assert picked.tolist() == list(range(84, 92))  # 2 of the decile, then the nearest
    assert achieved(few, picked)[0]["missed"] == 6


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(6, 60),
    share=st.floats(0.02, 0.5),
    alike=st.sets(st.sampled_from(["domain", "loss", "time"]), min_size=1),
)
def test_a_matched_draw_is_disjoint_of_full_size_and_keeps_domains(
    seed, rows, share, alike
):
    stream, count = np.random.default_rng(seed), max(1, int(share * rows))
    numbers = {
        "score": stream.normal(size=rows),
        "loss": stream.integers(0, 5, rows).astype(float),
        "time": np.linspace(0, 1, rows),
    }
    domains = stream.integers(0, 2, rows)
    known = RowFacts(domains, numbers, (), sorted(alike), True)
    top = known.ranking()[:count]
    spare = np.bincount(domains, minlength=2) - 2 * np.bincount(
        domains[top], minlength=2
    )
    if "domain" in alike and spare.min() < 0:
        with pytest.raises(HeadwaterError, match="wanted beside the top rows"):
            pick("matched", count, known, seed)
        return
    picked = pick("matched", count, known, seed)
    assert len(np.unique(picked)) == count
    assert not np.intersect1d(picked, top).size
    if "domain" in alike:
        assert sorted(domains[picked]) == sorted(domains[top])
    np.testing.assert_array_equal(picked, pick("matched", count, known, seed))


def test_the_achieved_match_is_told_by_hand():
    numbers = {
        "score": np.array([9.0, 8, 1, 1, 1, 1]),
        "loss": np.array([4.0, 2, 1, 1, 0, 4]),
    }
    known = RowFacts(np.array([0, 1, 0, 0, 0, 1]), numbers, (), ("domain",), True)
    lines = {line["fact"]: line for line in achieved(known, np.array([2, 3]))}
    assert lines["domain"]["distance"] == 0.5  # one of two is of another domain
    assert lines["loss"]["arm_mean"] == 1
    assert lines["loss"]["top_mean"] == 3
    assert lines["loss"]["distance"] == pytest.approx(-2 / numbers["loss"].std())
    assert {line["missed"] for line in lines.values()} == {1}
    loose = achieved(replace(known, alike=()), np.array([2, 3]))
    assert all(np.isnan(line["missed"]) for line in loose)
