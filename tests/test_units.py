"""Units by pattern, what is wrong with a label, and factors that lack a unit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.curvature.ekfac import fit_factors
from headwater.errors import HeadwaterError
from headwater.geometry import Geometry
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.inverse import solve
from headwater.probes import PROBES
from headwater.units import matching, outputs, parse, problem
from tiny import probe_data, random_rows, tiny_model, unit

LLAMA = Geometry(3, 6, 18, kv_heads=2, head_width=4, by_head=False, wide=36, gated=True)
NEOX = Geometry(2, 4, 32, wide=64)


@pytest.mark.parametrize(
    ("pattern", "sizes", "count", "ends"),
    [
        ("L*H*", LLAMA, 18, ("L0H0", "L2H5")),
        ("L*H*", NEOX, 8, ("L0H0", "L1H3")),
        ("L1H*", LLAMA, 6, ("L1H0", "L1H5")),
        ("L*H2", LLAMA, 3, ("L0H2", "L2H2")),
        ("L1N*", LLAMA, 36, ("L1N0", "L1N35")),
        ("L*N*", NEOX, 128, ("L0N0", "L1N63")),
        ("L*", LLAMA, 3, ("L0", "L2")),
        ("L*MLP", LLAMA, 3, ("L0MLP", "L2MLP")),
        ("L*G*", LLAMA, 6, ("L0G0", "L2G1")),
        ("L*G*", NEOX, 8, ("L0G0", "L1G3")),
    ],
)
def test_a_pattern_stands_for_all_units_of_its_form(pattern, sizes, count, ends):
    found = matching(pattern, sizes)
    assert len(found) == len(set(found)) == count
    assert (found[0], found[-1]) == ends
    assert {parse(label, sizes, "qkvo").label for label in found} == set(found)
    assert problem(pattern, sizes, "qkvo") is None


@pytest.mark.parametrize("label", ["L1H3", "L9H9", "L0H0+L1N3", "nothing", ""])
def test_without_a_star_a_pattern_stands_for_itself(label):
    assert matching(label, LLAMA) == [label]


@pytest.mark.parametrize(
    "pattern", ["*", "H*", "L*X*", "L**", "L*H", "L*H*+L0H0", "L*h*", "L*H* ", "L*H01"]
)
def test_a_pattern_that_is_no_unit_stands_for_none(pattern):
    assert matching(pattern, LLAMA) == []
    text = problem(pattern, LLAMA, "qkvo")
    assert text is not None
    assert text.startswith(f"{pattern!r}: write L1H3 (a head), L1G0 (")
    assert text.endswith("several joined by +; * is any number")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("pattern", "mode", "text"),
    [
        ("L1H3", "qk", None),
        ("L0N35+L1H3", "qkvo", None),
        ("L1H0+L1H1", "qo", None),
        ("L3H*", "qkvo", "L3H5: the model has layers 0..2"),
        ("L*H6", "qkvo", "L2H6: the model has heads 0..5 in each layer"),
        ("L*G2", "qkvo", "L2G2: the model has groups 0..1 in each layer"),
        ("L1N36", "qkvo", "L1N36: the model has neurons 0..35 in each layer"),
        ("L3MLP", "qkvo", "L3MLP: the model has layers 0..2"),
        ("L3", "qkvo", "L3: the model has layers 0..2"),
        ("L0H0+L1N36", "qkvo", "L1N36: the model has neurons 0..35 in each layer"),
        (
            "L1H0+L1H1",
            "qkvo",
            "L1H0+L1H1: its members share parameters, which would count twice; name a "
            "group of heads, or take gradients.mode: qo",
        ),
    ],
)
def test_what_is_wrong_with_a_label_is_told(pattern, mode, text):
    assert problem(pattern, LLAMA, mode) == text


NUMBERS = st.integers(0, 40).map(str)
NUMBERED = st.tuples(NUMBERS, st.sampled_from("HGN"), NUMBERS)
WHOLE = st.tuples(NUMBERS, st.sampled_from(["", "MLP"]))
SOME = st.one_of(NUMBERED, WHOLE).map(lambda parts: "L" + "".join(parts))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(SOME)
def test_a_label_has_a_problem_where_no_pattern_of_its_form_has_it(label):
    """Against the lists of all units."""
    forms = ("L*H*", "L*G*", "L*N*", "L*", "L*MLP")
    every = {found for form in forms for found in matching(form, LLAMA)}
    assert (problem(label, LLAMA, "qkvo") is None) == (label in every)
    if label in every:
        found = parse(label, LLAMA, "qkvo")
        assert (found.label, str(found)) == (label, label)


def test_what_a_unit_writes_by_is_the_same_in_every_mode():
    for label in ("L1H3", "L1G1", "L2", "L0N7", "L0MLP", "L0N7+L1H3"):
        written = [
            block
            for mode in ("qkvo", "qo")
            for block in parse(label, LLAMA, mode).blocks
            if block.writes
        ]
        assert written == 2 * outputs(label, LLAMA)
    assert [b.places for b in outputs("L1G1", LLAMA)] == [tuple(range(12, 24))]
    assert [b.places for b in outputs("L0N7", LLAMA)] == [(7,)]
    assert sum(len(b.places) for b in outputs("L2", LLAMA)) == 24


@pytest.mark.parametrize("label", ["L1H2", "L0N3", "L1H2+L0N3"])
@pytest.mark.parametrize("hessian", ["ekfac", "identity"])
def test_factors_that_lack_a_unit_are_refused_in_one_line(label, hessian):
    model, rows, own = tiny_model(), random_rows(6), unit(label)
    factors = fit_factors(model, rows, [unit("L0H0")], PassOptions(3, 1), hessian)
    data = probe_data("direct_logits", 3)
    gradient, _ = probe_gradient(model, PROBES["direct_logits"], own, data)
    with pytest.raises(HeadwaterError) as caught:
        solve(factors, own.blocks, gradient, 0.1)
    assert label.split("+")[0] in str(caught.value)
    assert "\n" not in str(caught.value)
