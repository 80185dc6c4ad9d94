"""Units as targets: their head, their curve, what reports and plans say of them."""

import copy
from dataclasses import replace

import h5py
import pytest

from headwater.config import load_config
from headwater.corpus.window import Window
from headwater.curvature.ekfac import fit_factors
from headwater.curvature.files import write_factors
from headwater.evaluation.effects import curves, effect
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import (
    PROBE_VALUE,
    Target,
    choose_target,
    read_target,
    write_choice,
)
from headwater.identity import identity
from headwater.models.sections import fitted_units, unit_of
from headwater.plan import sizes
from headwater.plan.experiment import NO_SOURCES, Experiment
from headwater.plan.ranges import Range
from headwater.plan.shape import stored_units, unit_parameters
from headwater.report import words
from headwater.report.sentences import sharing_sentence
from headwater.training.run import new_model
from test_config import base, changed
from test_effects import run_table
from test_heads import CONFIG, TABLE
from tiny import VOCABULARY, random_rows

assert base  # a fixture


def chosen(**target: str) -> Target:
    return choose_target({"head": "auto", **target}, TABLE, CONFIG)


# The head that tells of a unit


@pytest.mark.parametrize("label", ["L0G0", "L0G0+L1N3"])
def test_a_group_is_followed_by_the_best_of_its_heads(label):
    """L1H0 is better than both, L0H0 better in the other score."""
    found = chosen(probe="induction", unit=label)
    assert (found.unit, found.head, found.chosen) == (label, "L0H1", "given")
    assert (found.score, found.final) == ("prefix_matching", 0.2)
    assert found.emergence == Window(0, 10)
    assert not found.found
    assert found.name == f"{'circuit' if '+' in label else 'group'} {label}"
    assert found.series_in("mine") == ("prefix_matching", "head", "L0H1")
    back = chosen(probe="previous_token", unit="L0H0+L1H0")
    assert (back.head, back.final) == ("L0H0", 0.9)


def test_a_circuit_that_begins_with_a_neuron_is_followed_by_its_head():
    found = chosen(probe="induction", unit="L1N3+L1H0")
    assert (found.word, found.head, found.final) == ("circuit", "L1H0", 0.8)
    assert (found.emergence, found.found) == (Window(10, 40), True)
    alone = chosen(probe="induction", head="L1H0")
    assert alone == replace(found, unit="L1H0", word="head")


def test_heads_that_are_no_part_of_a_circuit_do_not_tell_of_it():
    found = chosen(probe="induction", unit="L0H0+L0N3")
    assert (found.head, found.final, found.emergence) == ("L0H0", 0.1, None)


def test_a_found_head_is_its_own_unit():
    found = chosen(probe="induction")
    assert (found.unit, found.word, found.head) == ("L1H0", "head", "L1H0")
    assert found.name == "head L1H0"


@pytest.mark.parametrize(
    ("label", "word"), [("L1N3", "neuron"), ("L0MLP", "MLP"), ("L1N3+L0N1", "circuit")]
)
def test_a_unit_without_heads_is_followed_by_its_probe(label, word, tmp_path):
    settings = {"probe": "induction", "head": "auto", "unit": label}
    config = copy.deepcopy(CONFIG)
    config["targets"]["fires"] = settings
    found = choose_target(settings, TABLE, config)
    about = "induction", label, word, "", "given", PROBE_VALUE
    assert found == Target(*about, None, None, {}, False)
    assert found.series_in("fires") == ("probe", "target", "fires")
    assert found.name == f"{word} {label}"
    path = tmp_path / "fires.json"
    write_choice(path, found, identity("heads", config, ["fires"]))
    assert read_target(path, config) == found


def test_what_a_unit_is_asked_about_is_said_in_one_sentence():
    head, group = chosen(probe="induction"), chosen(probe="induction", unit="L0G0")
    neuron = chosen(probe="activation", unit="L1N3")
    assert words.about(head).startswith("A head that ")
    for found in (group, neuron):
        text = words.about(found)
        assert text == f"Asked about: {words.PROBE_MEANINGS[found.probe]}."
        assert text.count(".") == 1


# Its curve


def test_effects_on_a_unit_without_a_head_are_read_from_its_probe():
    neuron = chosen(probe="activation", unit="L1N3")
    steps = [100, 150, 400]
    found = curves(run_table(), neuron.series_in("late"), "late", steps)
    assert found.score.tolist() == found.probe.tolist() == [2, 3, 8]
    head = replace(neuron, head="L1H0", score="prefix_matching")
    assert curves(run_table(), head.series_in("late"), "late", steps).score[0] == 0.1
    other = curves(run_table(), neuron.series_in("early"), "late", steps)
    assert (other.score.tolist(), other.probe.tolist()) == ([9, 9, 9], [2, 3, 8])
    half = replace(found, score=2 + (found.score - 2) / 2)
    assert effect(half, found)["area_ratio"] == pytest.approx(0.5)


# What reports say of shared keys and values

SHARES = (
    "{} shares its keys and values with {}; their gradient is that of all of these "
    "heads."
)


@pytest.mark.parametrize(
    ("label", "pairs"),
    [
        ("L0H1", [("L0H1", "L0H0")]),
        ("L1H2", [("L1H2", "L1H3")]),
        ("L1H2+L0H0", [("L1H2", "L1H3"), ("L0H0", "L0H1")]),
        ("L0N3+L1H0", [("L1H0", "L1H1")]),
        ("L0N3", []),
        ("L1MLP", []),
    ],
)
def test_what_is_shared_with_heads_beside_the_unit_is_said(label, pairs):
    unit = unit_of(label, CONFIG)
    expected = " ".join(SHARES.format(*pair) for pair in pairs)
    assert sharing_sentence(unit, CONFIG) == expected
    without = {**CONFIG, "gradients": {"mode": "qo"}}
    assert sharing_sentence(unit, without) == ""
    own = {**CONFIG["model"], "num_key_value_heads": 4}
    assert sharing_sentence(unit, {**CONFIG, "model": own}) == ""


@pytest.mark.parametrize("label", ["L0G1", "L1", "L0G0+L1N3"])
def test_a_group_as_a_whole_shares_nothing(label):
    assert sharing_sentence(unit_of(label, CONFIG), CONFIG) == ""


# What plans say of its size


def planned(folder, hessian: str, *stored: str) -> dict:
    """A small config with these units."""
    raw = changed(
        ("targets.induction.head", "L1H3"),
        ("targets.fires", {"probe": "induction", "unit": "L0N5"}),
        ("targets.says", {"probe": "induction", "unit": "L1MLP"}),
        ("gradients.units", ["L1H3", "L0N5", "L1MLP", *stored]),
        ("curvature.hessian", hessian),
    )
    return load_config(raw, "c.yaml", folder)


@pytest.mark.parametrize("hessian", ["ekfac", "diagonal", "identity"])
@pytest.mark.parametrize("stored", [(), ("L0H0+L1H1",), ("L1G0", "L1", "L0N5+L0N6")])
def test_factors_have_the_planned_bytes(tmp_path, base, hessian, stored):
    config = planned(base, hessian, *stored)
    model = new_model(config, VOCABULARY, 0).eval().double()
    units, options = fitted_units(config), PassOptions(4, 1)
    factors = fit_factors(model, random_rows(4), units, options, hessian)
    write_factors(tmp_path / "start.h5", factors, {})
    written: list[int] = []
    with h5py.File(tmp_path / "start.h5") as file:
        file.visititems(lambda _, item: written.append(getattr(item, "nbytes", 0)))
    found = sizes.factors(Experiment(config, NO_SOURCES)).kept
    assert found.low == found.high == sum(written)


def test_the_largest_unit_is_what_a_gradient_takes(base):
    config = planned(base, "ekfac")
    assert unit_parameters(config) == 2 * 32 * 64  # L1MLP
    assert stored_units(config) == Range.exactly(3)
    assert sizes.one_unit(Experiment(config, NO_SOURCES)).kept.low == 8 * 2 * 32 * 64
    many = planned(base, "ekfac", "L*H*", "L0N*", "L1H3")
    assert stored_units(many) == Range.exactly(8 + 64 + 1)


def test_units_that_are_known_only_later_are_counted(base):
    raw = changed(
        ("targets.fires", {"probe": "induction", "unit": "L0N5"}),
        ("targets.again", {"probe": "previous_token", "head": "auto"}),
    )
    config = load_config(raw, "c.yaml", base)
    assert stored_units(config) == Range(1, 3)
    assert unit_parameters(config) >= 4 * 32 * 8, "a head found later counts"
