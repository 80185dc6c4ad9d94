"""Units in the config: as targets, and whose gradients are stored."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from headwater.config import load_config
from headwater.config.target_checks import MOST_UNITS, SUBJECTS, WITH_ROWS
from headwater.models.sections import fitted_besides, fitted_units, units_meant
from headwater.probes import PROBES, Wanted
from headwater.units import HEAD
from test_config import base, changed, problems

assert base  # a fixture

ROWS = {"data": "rows.jsonl"}
BEGINS = "name one, or a circuit that begins with one"


def mine(**target: Any) -> tuple[str, Any]:
    return "targets.mine", target


@pytest.mark.parametrize(
    "target",
    [
        {"probe": "induction", "unit": "L0N5"},
        {"probe": "induction", "unit": "L1MLP"},
        {"probe": "induction", "unit": "L1"},
        {"probe": "induction", "unit": "L1G3"},
        {"probe": "induction", "unit": "L0N5+L1H0"},
        {"probe": "prefix_matching", "unit": "L1H3"},
        {"probe": "prefix_matching", "unit": "L1H0+L0N5"},
        {"probe": "activation", "unit": "L0N63", **ROWS},
        {"probe": "activation", "unit": "L0N5+L1H0", **ROWS},
        {"probe": "direct_logits", "unit": "L1MLP", **ROWS},
        {"probe": "direct_logits", "head": "L1H3", **ROWS},
        {"probe": "dataset", "unit": "L0H0+L1H1", **ROWS},
    ],
)
def test_a_target_may_be_any_unit_that_its_probe_can_look_at(target, base: Path):
    config = load_config(changed(mine(**target)), "c.yaml", base)
    assert config["targets"]["mine"] == {"head": "auto", **target}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"probe": "prefix_matching", "unit": "L0N5"},
            f"unit: L0N5: the probe prefix_matching asks about a head; {BEGINS}",
        ),
        (
            {"probe": "copying", "unit": "L0N5+L1H0"},
            f"unit: L0N5+L1H0: the probe copying asks about a head; {BEGINS}",
        ),
        (
            {"probe": "previous_token", "unit": "L1G0"},
            f"unit: L1G0: the probe previous_token asks about a head; {BEGINS}",
        ),
        (
            {"probe": "activation", "unit": "L1H0", **ROWS},
            f"unit: L1H0: the probe activation asks about a neuron; {BEGINS}",
        ),
        (
            {"probe": "activation", "head": "L1H0", **ROWS},
            f"head: L1H0: the probe activation asks about a neuron; {BEGINS}",
        ),
        (
            {"probe": "induction", "head": "L1H3", "unit": "L0N5"},
            "unit: there is head: L1H3, too; name one of them",
        ),
        (
            {"probe": "induction", "unit": "L0N64"},
            "unit: L0N64: the model has neurons 0..63 in each layer",
        ),
        (
            {"probe": "induction", "unit": "L2MLP"},
            "unit: L2MLP: the model has layers 0..1",
        ),
        (
            {"probe": "induction", "unit": "L1H0+L1H0"},
            "unit: L1H0+L1H0: its members share parameters, which would count twice; "
            "name a group of heads, or take gradients.mode: qo",
        ),
        (
            {"probe": "activation", "unit": "L0N5"},
            "data: missing; the probe activation needs a file of rows",
        ),
        (
            {"probe": "direct_logits", **ROWS},
            "head: auto has no score to choose by for the probe direct_logits; name a "
            "head or a unit",
        ),
        (
            {"probe": "induction", "unit": "auto"},
            'unit: expected a unit such as L2N17 or L1H3+L0H2, found "auto"',
        ),
    ],
)
def test_a_target_that_cannot_be_asked_is_refused_in_one_line(
    target, message, base: Path
) -> None:
    found = problems(changed(mine(**target)), base)
    assert found == [f"c.yaml: targets.mine.{message}"]


@pytest.mark.parametrize("label", ["L*N5", "L0H*"])
def test_a_target_is_one_unit_and_no_pattern(label, base: Path) -> None:
    (found,) = problems(changed(mine(probe="induction", unit=label)), base)
    assert found.startswith("c.yaml: targets.mine.unit: expected a unit such as L2N17")


@pytest.mark.parametrize("label", ["L1G0", "L1", "L0N5+L1H0"])
def test_a_window_may_follow_a_unit_with_heads(label, base: Path) -> None:
    target = mine(probe="induction", unit=label)
    config = load_config(changed(target, ("window.target", "mine")), "c.yaml", base)
    assert config["window"]["target"] == "mine"


@pytest.mark.parametrize(
    ("label", "word"), [("L0N5", "neuron"), ("L1MLP", "MLP"), ("L0N5+L1N3", "circuit")]
)
def test_a_window_cannot_follow_a_unit_without_heads(label, word, base: Path) -> None:
    target = mine(probe="induction", unit=label)
    assert problems(changed(target, ("window.target", "mine")), base) == [
        f"c.yaml: window.target: mine: {word} {label} has no head whose curve sets a "
        "window"
    ]


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (["L*H*"], 8),
        (["L*H*", "L1N3"], 9),
        (["L1H*", "L1H3", "L1"], 5),
        (["L0N*", "L*MLP", "L*G*", "L0H0+L1N3"], 64 + 2 + 8 + 1),
    ],
)
def test_stored_units_are_labels_and_patterns(stored, meant, base: Path) -> None:
    raw = changed(("gradients.units", stored), ("influence.method", "exact"))
    config = load_config(raw, "c.yaml", base)
    assert config["gradients"]["units"] == stored
    labels = units_meant(stored, config)
    assert len(labels) == len(set(labels)) == meant
    fitted = [str(unit) for unit in fitted_units(config)]
    assert fitted[:8] == units_meant(["L*H*"], config)
    assert set(fitted) >= set(labels)
    assert len(fitted) == len(set(fitted))


def test_factors_are_fitted_anew_for_other_units_only(base: Path) -> None:
    def besides(*stored: str, mode: str = "qkvo") -> list[str]:
        target = mine(probe="induction", unit="L0N5")
        own = ("gradients.units", [*stored, "L0N5"]), ("gradients.mode", mode)
        raw = changed(target, *own, ("targets.induction.head", "L1H3"))
        return fitted_besides(load_config(raw, "c.yaml", base))

    assert besides("L*H*") == besides("L1H3") == besides("L0H*", "L1H3") == ["L0N5"]
    assert besides("L1H3", "L1G0") == ["L0N5", "L1G0"]
    assert besides("L*H*", mode="qo") == ["L0N5", "qo"]


UNITS = "gradients.units: "
FORMS = "write L1H3 (a head), L1G0 (heads that share K and V), L1 (a layer's attention)"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (["L1H3", "L2H0"], f"{UNITS}L2H0: the model has layers 0..1"),
        (["L1H3", "L2H*"], f"{UNITS}L2H3: the model has layers 0..1"),
        (["L1H3", "L*G4"], f"{UNITS}L1G4: the model has groups 0..3 in each layer"),
        (["L1H3", "L1H*+L0H0"], f"{UNITS}'L1H*+L0H0': {FORMS}"),
        (["L1H3", "L*H"], f"{UNITS}'L*H': {FORMS}"),
        (["L1H3", "L1H0+L1H0"], f"{UNITS}L1H0+L1H0: its members share parameters"),
        (
            ["L1H3", "l1h3"],
            'gradients.units[1]: expected a unit such as L1H3, found "l',
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_in_one_line(
    stored, message, base: Path
) -> None:
    raw = changed(("gradients.units", stored), ("targets.induction.head", "L1H3"))
    (found,) = problems(raw, base)
    assert found.startswith(f"c.yaml: {message}")


@pytest.mark.parametrize(
    ("stored", "lacking"),
    [
        (["L*H*", "L0N5"], False),
        (["L*H*", "L0N*"], False),
        (["L*H*", "L0MLP"], True),
        (["L*H*"], True),
    ],
)
def test_a_targets_unit_is_among_the_stored(stored, lacking, base: Path) -> None:
    target = mine(probe="induction", unit="L0N5")
    raw = changed(target, ("gradients.units", stored))
    if not lacking:
        load_config(raw, "c.yaml", base)
        return
    those = ", ".join(stored)
    assert problems(raw, base) == [
        f"c.yaml: targets.mine.unit: L0N5 is not in gradients.units ({those})"
    ]


def test_more_units_than_a_store_can_hold_are_refused(base: Path) -> None:
    def asked(wide: int) -> dict[str, Any]:
        own = ("targets.induction.head", "L1H3"), ("model.intermediate_size", wide)
        return changed(("gradients.units", ["L1H3", "L*N*"]), *own)

    assert MOST_UNITS == 10_000
    load_config(asked(4999), "c.yaml", base)
    assert problems(asked(5000), base) == [
        "c.yaml: gradients.units: more than 10,000 units; name fewer"
    ]


def test_checks_know_what_every_probe_looks_at_and_is_asked_on() -> None:
    """They cannot import the probes themselves."""
    subjects = {name: probe.subject for name, probe in PROBES.items()}
    assert {n: s for n, s in subjects.items() if s != HEAD} == SUBJECTS
    data = {
        name: inspect.signature(probe.function).parameters["data"].annotation
        for name, probe in PROBES.items()
    }
    assert sorted(n for n, kind in data.items() if kind is Wanted) == [*WITH_ROWS]
