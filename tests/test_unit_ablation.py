"""Mean ablation of any unit: what it changes, and that it changes nothing else."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.evaluation.losses import HeldOut
from headwater.evaluation.metrics import Questions, checkpoint_metrics, metrics_table
from headwater.heads.copy_gain import ablation, copy_gain
from headwater.models.outputs import mean_ablated
from headwater.models.sites import geometry
from headwater.probes import PROBES
from strangers import NAMES, SHAPES, places, stranger, unit_places
from tiny import ask, probe_data, random_rows, scattered, tiny_model, unit

each = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
LABELS = ["L1H1", "L0N3", "L0G0", "L1MLP", "L0", "L1N5+L0H0", "L0N1+L1G0"]


def writers(shape) -> list[str]:
    """The modules by which attention and MLPs write, of every layer."""
    labels = [f"L{layer}{site}" for layer in range(shape[1]) for site in ("H0", "N0")]
    return [name for label in labels for name in written_places(shape, label)]


def written_places(shape, label: str) -> dict[str, list[int]]:
    """Which inputs of which of them are a unit's."""
    found: dict[str, list[int]] = {}
    for member in label.split("+"):
        for name, parts in unit_places(shape, member).items():
            if name.endswith(("/o", "/out")):
                for weight, _, where in parts:
                    found.setdefault(weight.removesuffix(".weight"), []).extend(where)
    return found


@contextmanager
def seen_by(model, modules: list[str]) -> Iterator[dict[str, Tensor]]:
    """What hooks registered now see of the modules' inputs."""
    kept: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in modules:
            handle = model.get_submodule(name).register_forward_pre_hook(
                lambda _, inputs, name=name: kept.update({name: inputs[0]})
            )
            stack.callback(handle.remove)
        yield kept


@each
@pytest.mark.parametrize("label", LABELS)
@torch.no_grad()
def test_a_unit_is_replaced_by_its_mean_and_nothing_else_is(shape, label) -> None:
    model, tokens, names = stranger(shape), random_rows(4), writers(shape)
    assert len(names) == 2 * shape[1]
    plain = model(input_ids=tokens).logits
    with (
        seen_by(model, names) as before,
        mean_ablated(model, label),
        seen_by(model, names) as after,
    ):
        without = model(input_ids=tokens).logits
    own = written_places(shape, label)
    for name in names:
        expected = before[name].clone()
        for place in own.get(name, []):
            column = expected[..., place]
            assert column.std(dim=0).max() > 1e-4, "a vanishing test case"
            expected[..., place] = column.mean(dim=0)
        torch.testing.assert_close(after[name], expected, rtol=1e-12, atol=1e-12)
    assert (without - plain).abs().max() > 1e-5
    assert torch.equal(model(input_ids=tokens).logits, plain), "left as it was"


@each
@torch.no_grad()
def test_a_group_is_ablated_as_its_heads_together(shape) -> None:
    model, tokens = stranger(shape), random_rows(4)
    share = shape[2] // shape[3]
    last = [f"L1H{shape[2] - 1 - i}" for i in range(share)]
    every = [f"L1H{i}" for i in range(shape[2])]
    for label, heads in ((f"L1G{shape[3] - 1}", last), ("L1", every)):
        with mean_ablated(model, label):
            found = model(input_ids=tokens).logits
        with ExitStack() as stack:
            for head in heads:
                stack.enter_context(mean_ablated(model, head))
            expected = model(input_ids=tokens).logits
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        with mean_ablated(model, heads[0]):
            one = model(input_ids=tokens).logits
        assert len(heads) == 1 or (one - found).abs().max() > 1e-5


@pytest.mark.parametrize("label", ["L1N5", "L0MLP", "L1G2", "L1N5+L0H0"])
@torch.no_grad()
def test_ablation_is_the_gain_lost_without_the_unit(label) -> None:
    """By hand: its part of what the writers are given, averaged."""
    model, data = tiny_model(), scattered(9)
    shape = ("gpt_neox", 3, 3, 3, 8, 24, {})
    gain = copy_gain(model, data)
    with ExitStack() as stack:
        for name, own in written_places(shape, label).items():

            def replace(_, inputs, own=own):
                inner = inputs[0].clone()
                for place in own:
                    inner[..., place] = sum(row[..., place] for row in inner) / 9
                return (inner,)

            module = model.get_submodule(name)
            handle = module.register_forward_pre_hook(replace)
            stack.callback(handle.remove)
        expected = gain - copy_gain(model, data)
    found = ablation(model, unit(label), data, gain)
    assert found == pytest.approx(expected, rel=1e-9)
    assert abs(expected) > 1e-6
    assert ablation(model, label, data, gain) == found


def test_a_heads_columns_are_those_of_its_label() -> None:
    """The plain row numbers of these tests are the ones of the heads' own."""
    shape = SHAPES[5]
    sizes = geometry(stranger(shape))
    for head in sizes.all_heads():
        ((weight, _, where),) = places(shape, head)["o"]
        assert written_places(shape, str(head)) == {
            weight.removesuffix(".weight"): where
        }


def test_metrics_of_units_that_are_no_heads_have_their_own_lines() -> None:
    model, sequences = tiny_model(), scattered(3)
    data = probe_data("activation", 4)
    targets = {
        "fires": (PROBES["activation"], unit("L1N5"), data),
        "says": (PROBES["direct_logits"], unit("L1G0"), data),
        "both": (PROBES["induction"], unit("L1N5+L0H2"), sequences),
        "again": (PROBES["direct_logits"], unit("L1N5"), data),
        "head": (PROBES["previous_token"], unit("L0H1"), sequences),
    }
    held = HeldOut(random_rows(2), np.array(["prose", "code"], object), -1)
    asked = Questions(sequences, None, held, 2, 3, targets)
    table = metrics_table(checkpoint_metrics(8, model, asked))
    lost = table[table["metric"] == "ablation"]
    names = sorted(zip(lost["kind"], lost["name"], strict=True))
    others = [("unit", "L1G0"), ("unit", "L1N5"), ("unit", "L1N5+L0H2")]
    assert names == [("head", "L0H1"), *others]
    value = table.set_index(["metric", "kind", "name"])["value"]
    gain = copy_gain(model, sequences)
    for kind, name in names:
        expected = ablation(model, name, sequences, gain)
        assert value["ablation", kind, name] == pytest.approx(expected)
    assert lost["value"].nunique() == 4
    for name, (probe, own, rows) in targets.items():
        expected = float(ask(probe.name, model, str(own), rows).detach().mean())
        assert value["probe", "target", name] == pytest.approx(expected)
