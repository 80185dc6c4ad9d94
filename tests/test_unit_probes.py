"""Probes of any unit: against the same sums by hand, and autograd of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, silu

from headwater.errors import HeadwaterError
from headwater.gradients.probe import probe_gradient
from headwater.models.sites import geometry
from headwater.probes import PROBES, Wanted
from headwater.units import Unit, parse
from strangers import NAMES, SHAPES, block_of, mlp_places, stranger, unit_places
from tiny import ask, probe_data

each = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
LLAMA = SHAPES[5]  # three layers, groups of three heads
GROUPED = [LLAMA, SHAPES[7]]
LABELS = ["L1H1", "L0G0", "L1G1", "L0N3", "L1MLP", "L1", "L1H1+L0H0", "L1N5+L0N2"]
NEURONS = ["L0N3", "L1N0"]


def rows(count: int = 3) -> Wanted:
    data = probe_data("direct_logits", count)
    assert isinstance(data, Wanted)
    return data


def unit_in(model, label: str, mode="qkvo") -> Unit:
    return parse(label, geometry(model), mode)


@contextmanager
def seen_by(model, names: list[str]) -> Iterator[dict[str, Tensor]]:
    """The inputs of some modules, by name."""
    kept: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: kept.update({name: inputs[0]})
        )
        for name in names
    ]
    yield kept
    for handle in handles:
        handle.remove()


def parts_of(shape, label: str) -> dict[str, list[tuple[str, int, list[int]]]]:
    """Block to weights and places, of a circuit too."""
    members = (unit_places(shape, member) for member in label.split("+"))
    return {name: parts for member in members for name, parts in member.items()}


def read_by_norms(model, shape, module: str, added: Tensor) -> Tensor:
    """What is added, as the unembedding meets it but for the norms' scales."""
    base = {"gpt_neox": "gpt_neox.final_layer_norm", "gpt2": "transformer.ln_f"}
    names = [base.get(shape[0], "model.norm")]
    if shape[0] == "olmo2":
        layer, what = module.split(".")[2:4]
        after = "attention" if what == "self_attn" else "feedforward"
        names.append(f"model.layers.{layer}.post_{after}_layernorm")
    for name in names:
        if shape[0] in base:
            added = added - added.mean(dim=-1, keepdim=True)
        added = added * model.get_parameter(f"{name}.weight")
    return added


def logits_by_hand(model, shape, label: str, data: Wanted) -> Tensor:
    """The unit's part of the writer's input alone, times the weight, unembedded."""
    writes = {
        name: parts
        for name, parts in parts_of(shape, label).items()
        if name.endswith(("/o", "/out"))
    }
    modules = {
        w.removesuffix(".weight") for parts in writes.values() for w, *_ in parts
    }
    with seen_by(model, sorted(modules)) as inputs:
        model(input_ids=data.tokens, use_cache=False)
    total = torch.zeros(())
    for weight, axis, places in (part for parts in writes.values() for part in parts):
        module = weight.removesuffix(".weight")
        alone = torch.zeros_like(inputs[module])
        alone[..., places] = inputs[module][..., places]
        matrix = model.get_parameter(weight)
        added = alone @ (matrix if axis == 1 else matrix.T)
        total = total + read_by_norms(model, shape, module, added)
    logits = total @ model.get_output_embeddings().weight.T
    found = logits.gather(2, data.targets[..., None])[..., 0] - logits.mean(dim=2)
    return (found * data.weights).sum(dim=1)


def activation_by_hand(model, shape, label: str, data: Wanted) -> Tensor:
    """A neuron's value out of the MLP's input and the neuron's own weights."""
    layer, number = map(int, label[1:].split("N"))
    reads = [name for name, *_ in mlp_places(shape, layer, [number])["in"]]
    module = reads[0].removesuffix(".weight")
    with seen_by(model, [module]) as inputs:
        model(input_ids=data.tokens, use_cache=False)
    own = []
    for name in reads:
        weight = model.get_parameter(name)
        column = weight[:, number] if shape[0] == "gpt2" else weight[number]
        bias = getattr(model.get_submodule(name.removesuffix(".weight")), "bias", None)
        value = inputs[module] @ column
        own.append(value if bias is None else value + bias[number])
    if len(own) == 2:
        values = silu(own[0]) * own[1]
    else:
        values = gelu(own[0], approximate="tanh" if shape[0] == "gpt2" else "none")
    return (values * data.weights).sum(dim=1)


BY_HAND = {"direct_logits": logits_by_hand, "activation": activation_by_hand}


def assert_gradient_is_autograds(shape, name: str, label: str, mode="qkvo") -> None:
    model, data = stranger(shape), rows()
    model.set_attn_implementation("eager")
    unit = unit_in(model, label, mode)
    found, mean = probe_gradient(model, PROBES[name], unit, data, 2)
    model.requires_grad_(True)
    # Summed, since a mean is rounded elsewhere in a softmax that is taken in float32.
    value = BY_HAND[name](model, shape, label, data).sum()
    names, weights = zip(*model.named_parameters(), strict=True)
    slopes = torch.autograd.grad(
        value, weights, allow_unused=True, materialize_grads=True
    )
    gradients = dict(zip(names, slopes, strict=True))
    assert mean == pytest.approx(value.item() / len(data), rel=1e-6)
    parts = parts_of(shape, label)
    assert found.keys() == {str(block) for block in unit.blocks}
    for block in found:
        expected = block_of(parts[block], gradients, block.endswith(("/o", "/out")))
        silent = name == "activation" and block == f"{label}/out"
        assert bool(expected.any()) != silent, "a vanishing test case"
        torch.testing.assert_close(
            found[block], expected / len(data), rtol=1e-6, atol=1e-9
        )


@each
@pytest.mark.parametrize("label", LABELS)
def test_direct_logits_are_the_units_own_part_unembedded(shape, label) -> None:
    model, data = stranger(shape).requires_grad_(False), rows()
    label = label.replace("G1", f"G{shape[3] - 1}")
    found = ask("direct_logits", model, label, data)
    expected = logits_by_hand(model, shape, label, data)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert found.abs().min() > 1e-4, "a vanishing test case"


@each
@pytest.mark.parametrize("label", ["L1H1", "L0G0", "L0N3", "L1MLP", "L1", "L1N5+L0H0"])
def test_gradients_of_direct_logits_equal_autograd(shape, label) -> None:
    assert_gradient_is_autograds(shape, "direct_logits", label)


@pytest.mark.parametrize("shape", GROUPED, ids=[NAMES[5], NAMES[7]])
@pytest.mark.parametrize("label", ["L1G1+L0G0", "L1+L0MLP", "L0H0+L1H1"])
@pytest.mark.parametrize("mode", ["qk", "qkvo", "qo"])
def test_gradients_of_circuits_are_those_through_all_members(
    shape, label, mode
) -> None:
    """The lower member writes to the output, and to what the upper one reads."""
    assert_gradient_is_autograds(shape, "direct_logits", label, mode)


@each
def test_the_lower_member_acts_through_the_upper_one_too(shape) -> None:
    """Its gradient in a circuit is not the one that it has alone."""
    model, data = stranger(shape), rows()
    probe = PROBES["direct_logits"]
    both, _ = probe_gradient(model, probe, unit_in(model, "L1H1+L0H0"), data)
    upper, lower = (
        probe_gradient(model, probe, unit_in(model, label), data)[0]
        for label in ("L1H1", "L0H0")
    )
    for name, gradient in upper.items():
        torch.testing.assert_close(both[name], gradient, rtol=1e-6, atol=1e-8)
    change = (both["L0H0/o"] - lower["L0H0/o"]).norm()
    assert change > 0.01 * lower["L0H0/o"].norm()


@each
def test_direct_logits_of_parts_add_up_to_the_wholes(shape) -> None:
    model, data = stranger(shape).requires_grad_(False), rows()
    sizes = geometry(model)
    for whole, count in (("L1G", sizes.groups), ("L1H", sizes.heads)):
        parts = [ask("direct_logits", model, f"{whole}{i}", data) for i in range(count)]
        torch.testing.assert_close(sum(parts), ask("direct_logits", model, "L1", data))
    neurons = [ask("direct_logits", model, f"L0N{i}", data) for i in range(sizes.wide)]
    torch.testing.assert_close(sum(neurons), ask("direct_logits", model, "L0MLP", data))


@each
@pytest.mark.parametrize("label", NEURONS)
def test_activation_is_the_neurons_mean_value(shape, label) -> None:
    model, data = stranger(shape).requires_grad_(False), rows()
    found = ask("activation", model, label, data)
    expected = activation_by_hand(model, shape, label, data)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert found.abs().min() > 1e-6, "a vanishing test case"
    for other in ("L0N4", "L1N3"):
        wrong = ask("activation", model, other, data)
        assert ((found - wrong).abs() > 1e-3 * found.abs()).all()


@each
@pytest.mark.parametrize("label", NEURONS)
def test_gradients_of_activation_equal_autograd(shape, label) -> None:
    assert_gradient_is_autograds(shape, "activation", label)


@each
def test_activation_is_that_of_the_first_member_of_a_circuit(shape) -> None:
    model, data = stranger(shape), rows()
    alone = ask("activation", model, "L1N2", data).detach()
    circuit = unit_in(model, "L1N2+L0H0")
    together = ask("activation", model, str(circuit), data).detach()
    torch.testing.assert_close(together, alone)
    gradient, _ = probe_gradient(model, PROBES["activation"], circuit, data)
    own, _ = probe_gradient(model, PROBES["activation"], unit_in(model, "L1N2"), data)
    for name, matrix in own.items():
        torch.testing.assert_close(gradient[name], matrix, rtol=1e-6, atol=1e-8)
    assert gradient["L0H0/o"].any(), "what the head writes makes the neuron fire"


@pytest.mark.parametrize(
    ("name", "label", "subject"),
    [
        ("activation", "L1H1", "neuron"),
        ("activation", "L1MLP", "neuron"),
        ("activation", "L1H1+L0N3", "neuron"),
        ("prefix_matching", "L0N3", "head"),
        ("previous_token", "L0G0", "head"),
        ("copying", "L1", "head"),
        ("copying", "L0N3+L1H1", "head"),
    ],
)
def test_a_unit_that_a_probe_cannot_look_at_is_refused(name, label, subject) -> None:
    model, data = stranger(LLAMA), probe_data(name, 2)
    with pytest.raises(HeadwaterError) as caught:
        probe_gradient(model, PROBES[name], unit_in(model, label), data)
    assert str(caught.value) == (
        f"{label}: the probe {name} asks about a {subject}; name one, or a circuit "
        "that begins with one"
    )


@pytest.mark.parametrize("mode", ["qk", "qkvo", "qo"])
def test_what_a_probe_finds_does_not_depend_on_the_mode(mode) -> None:
    model, data = stranger(LLAMA), rows()
    unit = unit_in(model, "L0H0+L1H1", mode)
    _, mean = probe_gradient(model, PROBES["direct_logits"], unit, data)
    expected = ask("direct_logits", model, "L0H0+L1H1", data).detach().mean()
    assert mean == pytest.approx(float(expected), rel=1e-6)
