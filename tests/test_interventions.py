"""Arms: which rows are picked, and what stands at every position then."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.interventions.arms import ACTIONS, arm_rows, overlap, pick_rows
from headwater.interventions.facts import RowFacts, random_rows
from headwater.interventions.files import (
    Match,
    read_arm,
    read_match,
    write_arm,
    write_match,
)
from headwater.interventions.kinds import KINDS
from test_corpus_support import small_config

TOTAL = 200
PICKED = np.array([0, 3, 50, 51, 199])


def top_rows(scores: np.ndarray, count: int) -> np.ndarray:
    facts = RowFacts(np.zeros(len(scores), int), {"score": scores})
    return pick_rows("top", count, facts, generator())


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("action", "weight"), [("remove", 0.0), ("repeat", 2.0)])
def test_removed_and_repeated_rows_stay_in_place(action, weight):
    plan = arm_rows(action, PICKED, TOTAL, generator())
    assert plan.rows.tolist() == list(range(TOTAL))
    expected = np.ones(TOTAL, np.float32)
    expected[PICKED] = weight
    np.testing.assert_array_equal(plan.weights, expected)
    assert plan.weights.dtype == np.float32
    assert plan.rows.dtype == np.int64
    assert plan.picked.tolist() == PICKED.tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 20, 100])
def test_an_insert_puts_one_copy_of_each_picked_row_elsewhere(count, seed):
    picked = random_rows(np.arange(TOTAL), count, generator(seed))
    plan = arm_rows("insert", picked, TOTAL, generator(seed))
    assert len(plan.rows) == TOTAL
    assert (plan.weights == 1).all()
    np.testing.assert_array_equal(plan.rows[picked], picked)  # itself never replaced
    replaced = np.flatnonzero(plan.rows != np.arange(TOTAL))
    assert len(replaced) == count
    assert sorted(plan.rows[replaced]) == picked.tolist()
    times = np.bincount(plan.rows, minlength=TOTAL)
    assert (times[picked] == 2).all()
    assert (times[replaced] == 0).all()


def test_copies_go_anywhere_and_in_any_order():
    places, orders = set(), set()
    for seed in range(40):
        plan = arm_rows("insert", PICKED, 20 + TOTAL, generator(seed))
        replaced = np.flatnonzero(plan.rows != np.arange(len(plan.rows)))
        places.update(replaced.tolist())
        orders.add(tuple(plan.rows[replaced]))
    assert len(places) > 100
    assert min(places) < 20
    assert max(places) > TOTAL
    assert len(orders) > 20


def test_an_insert_without_room_says_so():
    with pytest.raises(HeadwaterError, match=r"6 rows wanted, but only 4 to draw from"):
        arm_rows("insert", np.arange(6), 10, generator())
    everything = arm_rows("insert", np.arange(5), 10, generator())
    assert sorted(everything.rows) == sorted([*range(5), *range(5)])


def test_top_rows_are_the_highest_with_ties_to_the_earlier_row():
    scores = np.array([1.0, 5.0, -9.0, 5.0, 5.0, 2.0, 5.0, -1.0])
    assert top_rows(scores, 3).tolist() == [1, 3, 4]
    assert top_rows(scores, 5).tolist() == [1, 3, 4, 5, 6]
    assert top_rows(np.zeros(100), 7).tolist() == list(range(7))


def test_top_rows_are_signed_not_by_magnitude():
    assert top_rows(np.array([-100.0, 0.0, 1.0]), 1).tolist() == [2]


def test_a_draw_repeats_by_seed_and_differs_by_seed():
    draws = [random_rows(np.arange(TOTAL), 20, generator(s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert draws[0].tolist() != draws[2].tolist()
    for draw in draws:
        assert len(set(draw.tolist())) == 20
        assert (np.diff(draw) > 0).all()
        assert set(draw.tolist()) <= set(range(TOTAL))


def test_every_candidate_is_drawn_at_times():
    candidates = np.array([3, 8, 11, 40])
    seen = {
        int(row) for s in range(50) for row in random_rows(candidates, 1, generator(s))
    }
    assert seen == set(candidates.tolist())


def test_too_few_candidates_say_what_to_change():
    with pytest.raises(HeadwaterError) as caught:
        random_rows(np.arange(4), 5, generator())
    message = str(caught.value)
    assert "5 rows wanted, but only 4 to draw from; lower the arm's fraction" in message
    assert "\n" not in message


# Domain 1 has most of the rows, domain 2 most of the highest.
DOMAINS = np.repeat([0, 1, 2], [20, 150, 30]).astype(np.uint8)
SCORES = np.where(DOMAINS == 2, 10.0, 0.0) + np.random.default_rng(3).random(TOTAL)
SCORES[:2] = 100.0


NUMBERS = {
    name: np.random.default_rng(place).random(TOTAL)
    for place, name in enumerate(
        ("loss", "repetition", "lexical", "gradient_norm", "gradient_dot", "file")
    )
}
FACTS = RowFacts(DOMAINS, {"score": SCORES, **NUMBERS}, (), ("domain",), True)
ANY = replace(FACTS, disjoint=False)
FOLLOW = ["matched", "domain"]


def test_the_dominating_domain_is_that_of_most_top_rows():
    for count, domain in ((12, 2), (2, 0)):
        picked = pick_rows("domain", count, FACTS, generator())
        assert (DOMAINS[picked] == domain).all()
    with pytest.raises(HeadwaterError, match="only 150 to draw from"):  # of domain 1
        pick_rows("domain", TOTAL, ANY, generator())
    domains, scores = np.array([3, 1, 3, 1]), np.array([2.0, 2.0, 0.0, 0.0])
    tie = RowFacts(domains, {"score": scores})
    assert tie.domains[pick_rows("domain", 2, tie, generator())].tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_a_domain_arm_draws_from_the_dominating_domain_only(seed):
    picked = pick_rows("domain", 12, FACTS, generator(seed))
    assert len(picked) == 12
    assert (DOMAINS[picked] == 2).all()
    assert picked.tolist() != top_rows(SCORES, 12).tolist()


def test_a_domain_arm_larger_than_its_domain_says_so():
    scores = np.where(DOMAINS == 0, 1.0, 0.0)  # 20 rows of domain 0 are on top
    facts = RowFacts(DOMAINS, {"score": scores})
    with pytest.raises(
        HeadwaterError, match="30 rows wanted, but only 20 to draw from"
    ):
        pick_rows("domain", 30, facts, generator())


@pytest.mark.parametrize("count", [1, 2, 12, 40, TOTAL])
def test_a_matched_arm_has_the_top_rows_mix_of_domains(count):
    top = top_rows(SCORES, count)
    picked = pick_rows("matched", count, ANY, generator())
    assert len(set(picked.tolist())) == count
    assert (np.diff(picked) > 0).all()
    mixes = [np.bincount(DOMAINS[rows], minlength=3) for rows in (picked, top)]
    np.testing.assert_array_equal(*mixes)


def test_a_matched_arm_that_is_not_disjoint_draws_any_row_of_each_domain():
    top = top_rows(SCORES, 12)  # 2 of domain 0, none of domain 1, 10 of domain 2
    draws = [pick_rows("matched", 12, ANY, generator(seed)) for seed in range(80)]
    assert len({tuple(draw) for draw in draws}) == 80
    seen = np.bincount(np.concatenate(draws), minlength=TOTAL)
    assert ((seen > 0) == (DOMAINS != 1)).all()  # the top rows too, neither more
    assert abs(seen[top[-10:]].mean() - 80 * 10 / 30) < 5  # nor less than others


@pytest.mark.parametrize("kind", FOLLOW)
def test_a_disjoint_arm_draws_any_row_but_the_ones_it_explains(kind):
    top = top_rows(SCORES, 12)
    draws = [pick_rows(kind, 12, FACTS, generator(seed)) for seed in range(80)]
    seen = np.bincount(np.concatenate(draws), minlength=TOTAL) > 0
    wanted = np.isin(DOMAINS, DOMAINS[top] if kind == "matched" else [2])
    left = np.setdiff1d(np.flatnonzero(wanted), top)
    np.testing.assert_array_equal(np.flatnonzero(seen), left)
    for draw in draws:
        assert len(set(draw.tolist())) == 12
        assert overlap(kind, draw, FACTS) == 0


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    domains=st.lists(st.integers(0, 3), min_size=4, max_size=30),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 9),
    kind=st.sampled_from(FOLLOW),
)
def test_a_disjoint_draw_is_disjoint_or_refused(domains, share, seed, kind):
    scores = generator(seed).normal(size=len(domains))
    count = max(1, round(share * len(domains)))
    numbers = {"score": scores}
    facts = RowFacts(np.array(domains), numbers, [*"abcd"], ("domain",), True)
    top = facts.domains[top_rows(scores, count)]
    has, taken = (np.bincount(rows, minlength=4) for rows in (domains, top))
    needs = taken
    if kind == "domain":
        needs = np.where(np.arange(4) == taken.argmax(), count, 0)
    short = np.flatnonzero(needs > has - taken)
    if not len(short):
        picked = pick_rows(kind, count, facts, generator(seed))
        assert overlap(kind, picked, facts) == 0
        mix = np.bincount(facts.domains[picked], minlength=4)
        np.testing.assert_array_equal(mix, needs)
        return
    with pytest.raises(HeadwaterError) as caught:
        pick_rows(kind, count, facts, generator(seed))
    first = short[0]
    assert str(caught.value) == (
        f"arm: {needs[first]} rows of domain {'abcd'[first]!r} wanted beside the top "
        f"rows, but only {has[first] - taken[first]} of its {has[first]} are none; "
        "lower the arm's fraction, or set its disjoint to false"
    )


def test_the_overlap_is_the_share_of_rows_that_are_top_rows():
    top = top_rows(SCORES, 12)
    low = np.flatnonzero(DOMAINS == 1)
    for shared in (0, 3, 12):
        picked = np.sort(np.concatenate([top[:shared], low[: 12 - shared]]))
        for kind in FOLLOW:
            assert overlap(kind, picked, ANY) == shared / 12
    assert overlap("top", top, ANY) is None
    assert overlap("random", top, RowFacts(DOMAINS)) is None


def test_a_matched_arm_follows_the_scores_of_its_target():
    ties, rising = np.zeros(TOTAL), np.arange(TOTAL, dtype=float)
    first, last = (
        pick_rows("matched", 30, replace(ANY, numbers={"score": s}), generator())
        for s in (ties, rising)
    )
    assert np.bincount(DOMAINS[first], minlength=3).tolist() == [20, 10, 0]
    assert np.bincount(DOMAINS[last], minlength=3).tolist() == [0, 0, 30]


def test_a_top_arm_takes_the_top_rows_whatever_the_generator():
    for seed in range(3):
        picked = pick_rows("top", 12, FACTS, generator(seed))
        np.testing.assert_array_equal(picked, top_rows(SCORES, 12))


def test_a_random_arm_needs_no_scores_and_draws_from_all_rows():
    picked = pick_rows("random", 150, RowFacts(DOMAINS), generator())
    assert set(DOMAINS[picked].tolist()) == {0, 1, 2}
    scored = pick_rows("random", 150, FACTS, generator())
    np.testing.assert_array_equal(picked, scored)


@pytest.mark.parametrize("kind", KINDS)
def test_an_arm_that_would_change_nothing_is_an_error(kind):
    with pytest.raises(HeadwaterError, match="fraction"):
        pick_rows(kind, 0, FACTS, generator())


@pytest.mark.parametrize("name", [name for name in KINDS if not KINDS[name].written])
def test_a_kind_picks_by_its_facts_and_seed_alone(name):
    kind = KINDS[name]
    own = replace(FACTS, domains=DOMAINS.copy(), disjoint=kind.disjoint)
    draws = [pick_rows(name, 12, own, generator(seed)) for seed in (0, 0, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert len({tuple(draw) for draw in draws}) == (3 if kind.drawn else 1)
    for draw in draws:
        assert len(draw) == 12
        assert (np.diff(draw) > 0).all()
        assert set(draw.tolist()) <= set(range(TOTAL))
    np.testing.assert_array_equal(own.domains, DOMAINS)
    np.testing.assert_array_equal(own.numbers["score"], SCORES)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].scored])
def test_a_kind_that_needs_scores_makes_no_rows_without(name):
    with pytest.raises(AssertionError, match="requires a target"):
        pick_rows(name, 12, RowFacts(DOMAINS), generator())


def test_draws_come_from_one_stream_in_a_fixed_order():
    """Another order of calls would change the rows of every arm ever trained."""
    top, stream = top_rows(SCORES, 12), generator(5)
    draws = []
    for domain, count in ((0, 2), (1, 0), (2, 10)):
        rows = np.flatnonzero(domain == DOMAINS)
        draws += stream.choice(rows, size=count, replace=False).tolist()
    assert np.bincount(DOMAINS[top]).tolist() == [2, 0, 10]
    own = generator(5)
    picked = pick_rows("matched", 12, ANY, own)
    assert picked.tolist() == sorted(draws)
    others = np.setdiff1d(np.arange(TOTAL), picked)
    places = np.sort(stream.choice(others, size=12, replace=False))
    plan = arm_rows("insert", picked, TOTAL, own)
    np.testing.assert_array_equal(plan.rows[places], stream.permutation(picked))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_whole(name):
    kind = KINDS[name]
    label = kind.label.format(share="10 %", domain="'code' rows", alike="loss")
    assert "10 %" in label
    assert {*kind.colours} <= {*ACTIONS}
    assert kind.written == ("generate" in kind.colours)
    assert bool(kind.explains) == (kind.role == "control")
    assert {*kind.required} <= {*kind.keys}
    if kind.explains:
        assert KINDS[kind.explains].role == "judged"
        # `overlap` picks its rows again.
        assert KINDS[kind.explains].drawn == KINDS[kind.explains].written
        assert kind.written == KINDS[kind.explains].written
    assert all(KINDS[rival].role == "judged" for rival in kind.rivals)
    if kind.role == "judged":  # "the top rows' effect", whatever the domains are
        assert kind.noun.endswith("s")
        assert "{domain}" not in kind.label + kind.noun
        assert "{" not in kind.noun


def test_no_two_kinds_or_actions_share_a_colour():
    colours = [colour for kind in KINDS.values() for colour in kind.colours.values()]
    assert len(set(colours)) == len(colours)


def lightness_and_hue(colour: str) -> np.ndarray:
    """A colour in CIELAB, where distances are as the eye has them."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = [
        [0.4339, 0.3762, 0.1899],
        [0.2126, 0.7152, 0.0722],
        [0.0177, 0.1095, 0.8729],
    ]
    x, y, z = np.cbrt(np.array(to_xyz) @ linear)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("action", ACTIONS)
def test_the_kinds_of_one_action_are_told_apart_by_colour(action):
    drawn = [kind for kind in KINDS.values() if action in kind.colours]
    places = [lightness_and_hue(kind.colours[action]) for kind in drawn]
    apart = np.linalg.norm(np.array(places)[:, None] - np.array(places), axis=2)
    assert apart[~np.eye(len(drawn), dtype=bool)].min() > 11


def test_an_unknown_kind_or_action_picks_and_makes_nothing():
    with pytest.raises(KeyError):
        pick_rows("botom", 12, FACTS, generator())
    with pytest.raises(KeyError):
        arm_rows("delete", PICKED, TOTAL, generator())


def test_a_plan_comes_back_from_disk_and_is_refused_by_another_config(tmp_path):
    config = small_config()
    plan = arm_rows("insert", PICKED, TOTAL, generator())
    for share in (0.0, 1 / 3, None):
        facts = [{"fact": "loss", "distance": 0.25}] if share else []
        match = Match(share, facts)
        write_match(tmp_path / "match.h5", match, identity("corpus", config))
        assert read_match(tmp_path / "match.h5", config) == match
    write_arm(tmp_path / "plan.h5", plan, identity("corpus", config))
    found = read_arm(tmp_path / "plan.h5", json.loads(json.dumps(config)))
    for name in ("rows", "weights", "picked"):
        wanted = getattr(plan, name)
        np.testing.assert_array_equal(getattr(found, name), wanted)
        assert getattr(found, name).dtype == wanted.dtype
    with pytest.raises(HeadwaterError, match="seed is 0 there, 1 here"):
        read_arm(tmp_path / "plan.h5", small_config(seed=1))
    with pytest.raises(HeadwaterError, match="seed is 0 there, 1 here"):
        read_match(tmp_path / "match.h5", small_config(seed=1))
