"""All that would run on a GPU, on a pretended one: no tensor is left on the CPU.

`placement` says what is pretended. Each path must find, to the last bit, what it finds
on the CPU where attention is done in the same way: as plain products, in the training's
own precision.

Not covered:

- `scripts/*.py`: their part in this is `.to(job.device())`, and what they read and
  write is done on the CPU;
- several ranks: nccl needs GPUs. One rank's group is, by way of gloo;
- fused attention, and the sums that a GPU's autocast has in float32: no kernel of a GPU
  is run here, so its rounding is not seen, nor a type that it does not take;
- what depends on a GPU's memory: its size, pinned memory, streams, several GPUs.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_flatten

from headwater import cross_entropy
from headwater.checkpoints.files import load_for_pass
from headwater.curvature.ekfac import HESSIANS, fit_factors
from headwater.evaluation.losses import HeldOut, held_out_losses
from headwater.evaluation.metrics import Questions, checkpoint_metrics
from headwater.evaluation.natural_repeats import natural_repeats
from headwater.gradients import passes as passes_of
from headwater.gradients import writes
from headwater.gradients.blocks import block_sides, blocks_of
from headwater.gradients.flat import gradients_of, sites_of
from headwater.gradients.passes import PassOptions, run_pass
from headwater.gradients.probe import probe_gradient
from headwater.gradients.writes import written_tokens
from headwater.heads.copy_gain import ablation, copy_gain
from headwater.heads.scores import head_scores
from headwater.influence.files import Product
from headwater.influence.scores import stream_scores, token_scores
from headwater.influence.stored_variants import Point
from headwater.influence.variants import Question, Setting, variant_scores
from headwater.models.sites import geometry
from headwater.probes import PROBES, find_probe, induction
from headwater.projection.coordinates import Coordinates, Projection, all_coordinates
from headwater.projection.writer import GradientWriter, fill_store
from headwater.training import trainer
from headwater.training.ranks import Group, Ranks
from headwater.training.recipe import COMPUTE, Recipe, make_optimizer
from headwater.training.run import Run, train_run
from headwater.training.stopping import StopRule
from headwater.units import Unit, parse
from placement import DEVICE, Placed, WrongDeviceError, pretended
from strangers import SHAPES, stranger
from test_checkpoints import CONFIG, SCHEDULE, STAMP, Killed, batch, model_of_seed
from test_corpus_support import folder_bytes
from tiny import VOCABULARY, probe_data, random_rows, repeats, scattered

KINDS = {"neox": SHAPES[1], "gpt2": SHAPES[2], "llama": SHAPES[5]}
LABELS = ["L1H1", "L0G0", "L1N2", "L0", "L1MLP", "L0H1+L1N3"]  # one of every sort
ROWS = random_rows(5)
OPTIONS, WHOLE = PassOptions(3), PassOptions(5)
FIT = PassOptions(5, 7, VOCABULARY - 1)
CPU = torch.device("cpu")
LONG, BF16 = torch.float32, torch.bfloat16
Work = Callable[[nn.Module], Any]

each = pytest.mark.parametrize("kind", KINDS)


def model_on(device: torch.device, kind: str = "neox") -> nn.Module:
    return stranger(KINDS[kind]).to(LONG).to(device)


def done_on(device: torch.device, work: Callable[[torch.device], Any]) -> Any:
    """What some work finds, with attention as it is on the pretended device."""
    with (
        pretended() if device == DEVICE else nullcontext(),
        sdpa_kernel(SDPBackend.MATH),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(trainer, "in_float32", lambda *_: nullcontext())
        return work(device)


def assert_same(work: Callable[[torch.device], Any]) -> None:
    """The work finds the same, and on the CPU, wherever it is done."""
    (wanted, form), (found, other) = (
        tree_flatten(done_on(device, work)) for device in (CPU, DEVICE)
    )
    assert form == other
    assert wanted
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, two)


def units_of(model: nn.Module, labels: list[str] = LABELS, mode="qkvo") -> list[Unit]:
    return [parse(label, geometry(model), mode) for label in labels]


def fetched(model: nn.Module, values: dict[Any, Tensor]) -> dict[str, Tensor]:
    """Tensors from the model's device, where all of them must be."""
    assert {value.device for value in values.values()} == {model.device}
    return {str(name): value.detach().cpu().float() for name, value in values.items()}


def shorten(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """As `load_for_pass` does it."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


# Passes, factors, stores and scores


def passes(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    units = units_of(model)
    for options in (OPTIONS, FIT, replace(OPTIONS, only_head=1)):
        for found in run_pass(model, ROWS, sites_of(units), options):
            yield fetched(model, {"losses": found.losses})
            yield fetched(model, block_sides(found.traces, blocks_of(units)))


def gradients(model: nn.Module, mode="qkvo", dtype=LONG) -> Iterator[dict[str, Tensor]]:
    units = units_of(model, mode=mode)
    bases = fit_factors(model, ROWS, units, FIT).bases
    shorten(model, dtype)
    for turned in (None, bases):
        for _, found in gradients_of(model, ROWS, units, OPTIONS, turned):
            yield fetched(model, found)


def factors(model: nn.Module, hessian: str = "ekfac") -> list[dict[str, Tensor]]:
    found = fit_factors(model, ROWS, units_of(model), FIT, hessian)
    return [dict(found.bases), dict(found.lambdas)]


def store(model: nn.Module, dtype=LONG) -> dict[str, np.ndarray]:
    units = units_of(model)
    fitted = fit_factors(model, ROWS, units, FIT)
    kept = {unit: all_coordinates(fitted, unit.blocks) for unit in units}
    some = np.arange(0, units[0].size, 2)
    kept[units[0]] = Coordinates(some, np.ones(len(some)))
    made = {unit: Projection(own, 4, 1) for unit, own in kept.items()}
    shorten(model, dtype)
    with TemporaryDirectory() as folder:
        writer = GradientWriter(Path(folder), {}, 0, len(ROWS), made)
        fill_store(writer, model, ROWS, fitted.bases, OPTIONS)
        group = zarr.open_group(folder, mode="r")
        return {name: value[...] for name, value in sorted(group.arrays())}


def scores(model: nn.Module, dtype=LONG) -> list[Any]:
    units = units_of(model)
    fitted = fit_factors(model, ROWS, units, FIT)
    draw = np.random.default_rng(0).normal
    products = [Product(str(unit), unit, draw(size=unit.size)) for unit in units]
    shorten(model, dtype)
    found = [*stream_scores(model, ROWS, fitted, products, OPTIONS)]
    return found + [token_scores(model, ROWS, fitted, p, WHOLE) for p in products]


def variants(model: nn.Module) -> dict[str, np.ndarray]:
    setting = Setting(model, ROWS, ROWS, 0.1, FIT, WHOLE)
    question = Question("induction", *units_of(model, ["L1H1"]), scattered(3))
    return dict(variant_scores(setting, question))


def stored_variants(model: nn.Module) -> dict[str, dict[str, np.ndarray]]:
    units = units_of(model, ["L1H1", "L0H0"])
    probe, data = PROBES["induction"], repeats(4)
    point = Point(
        factors=fit_factors(model, ROWS, units, FIT),
        diagonal=fit_factors(model, ROWS, units[:1], FIT, "diagonal"),
        gradients={one: probe_gradient(model, probe, one, data)[0] for one in units},
        damping=0.1,
    )
    return {
        name: {str(unit): vector for unit, vector in own.items()}
        for name, own in point.products().items()
    }


def written(model: nn.Module) -> list[Tensor]:
    return [written_tokens(model, ROWS, unit, FIT, 3) for unit in units_of(model)]


# What heads do, and what checkpoints are asked


def probes(model: nn.Module, name: str) -> list[Any]:
    probe, data = PROBES[name], probe_data(name, 3)
    some = [unit for unit in units_of(model) if not unit.lacks(probe.subject)]
    found = [probe_gradient(model, probe, unit, data) for unit in some]
    released = find_probe(name, as_released=True)
    return [*found, probe_gradient(model, released, some[0], data, 2, detached=True)]


def heads(model: nn.Module) -> dict[str, dict[str, float]]:
    found = head_scores(model, scattered(5).to(model.device))
    return {name: {str(h): v for h, v in own.items()} for name, own in found.items()}


def copying(model: nn.Module) -> list[float]:
    data = scattered(4).to(model.device)
    gain = copy_gain(model, data)
    return [gain, *(ablation(model, unit, data, gain) for unit in units_of(model))]


def metrics(model: nn.Module) -> list[Any]:
    tokens = random_rows(6, 24) % (VOCABULARY - 1)
    domains = np.array(["a", "b"] * 3, object)
    held = HeldOut(tokens, domains, VOCABULARY - 1)
    shape = {"length": 12, "min_period": 2, "max_period": 5}
    natural = natural_repeats(held, 4, shape, 3)
    assert natural is not None
    first = {"head": "L1H1", "neuron": "L1N2"}
    asked = {
        name: (
            probe,
            *units_of(model, [first.get(probe.subject, "L0H1+L1N3")]),
            probe_data(name, 4).to(model.device),
        )
        for name, probe in PROBES.items()
    }
    own, again = scattered(4).to(model.device), natural.to(model.device)
    questions = Questions(own, again, held, 2, 3, asked)
    losses = held_out_losses(model, tokens, 4)
    return [losses, checkpoint_metrics(5, model, questions)]


PATHS: dict[str, Work] = {
    "passes": passes,
    **{f"gradients {m}": partial(gradients, mode=m) for m in ("qkvo", "qk", "qo")},
    "gradients bf16": partial(gradients, dtype=BF16),
    **{f"factors {name}": partial(factors, hessian=name) for name in HESSIANS},
    "store": store,
    "store bf16": partial(store, dtype=BF16),
    "scores": scores,
    "scores bf16": partial(scores, dtype=BF16),
    "variants": variants,
    "stored variants": stored_variants,
    "writes": written,
    **{f"probe {name}": partial(probes, name=name) for name in PROBES},
    "heads": heads,
    "copying": copying,
    "metrics": metrics,
}


# Training


def recipe_in(precision: str) -> Recipe:
    more = {"micro_batch_size": 2, "divisor": "kept", "precision": precision}
    return Recipe(0.01, 2, (0.9, 0.95), 1e-6, 0.1, 1.0, **more)


def training(model: nn.Module, precision: str, ranks: Ranks | None = None) -> list[Any]:
    recipe, losses = recipe_in(precision), []
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0])
    trainer.train(
        model,
        make_optimizer(model, recipe),
        recipe,
        lambda step: (random_rows(5, seed=step), weights),
        range(2),
        lambda step, loss: losses.append(loss),
        ranks=ranks,
    )
    return [losses, fetched(model, dict(model.named_parameters()))]


PATHS |= {f"training {p}": partial(training, precision=p) for p in COMPUTE}


@each
@pytest.mark.parametrize("path", PATHS)
def test_all_is_done_on_the_models_device(kind, path):
    def work(device: torch.device) -> Any:
        found = PATHS[path](model_on(device, kind))
        return [*found] if isinstance(found, Iterator) else found

    assert_same(work)


def find(model: nn.Module) -> str | None:
    """A finder as `heads.finding` makes one; it finds a head at once."""
    before = model.config._attn_implementation
    found = heads(model)["copying"]
    model.set_attn_implementation(before)
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_run_is_saved_and_gone_on_with_on_the_device(tmp_path, precision):
    """Killed before step 3, then resumed; it ends two steps after it found a head."""

    def until_killed(step: int) -> tuple[Tensor, Tensor]:
        if step == 3:
            raise Killed
        return batch(step)

    def work(device: torch.device) -> dict[str, bytes]:
        folder, recipe = tmp_path / device.type, recipe_in(precision)
        for batches in (until_killed, batch):
            stop = StopRule(find, 2, SCHEDULE)
            run = Run("test", folder, SCHEDULE, True, STAMP, str(device), stop)
            with suppress(Killed):
                train_run(run, model_of_seed(), recipe, batches, CONFIG)
        assert sorted(path.name for path in folder.glob("step*"))[-1] == "step4"
        return {k: np.frombuffer(v, "u1") for k, v in folder_bytes(folder).items()}

    assert_same(work)


@pytest.mark.parametrize("precision", ["exact", "bf16"])
def test_a_checkpoint_is_loaded_onto_the_device(tmp_path, precision):
    run = Run("test", tmp_path, [0], True, STAMP)
    train_run(run, model_of_seed(), recipe_in("fp32"), batch, CONFIG)

    def work(device: torch.device) -> list[Any]:
        model = load_for_pass(tmp_path / "step0", CONFIG, device, precision)
        found = run_pass(model, ROWS, [(0, "attention")], OPTIONS)
        return [fetched(model, {"losses": part.losses}) for part in found]

    assert_same(work)


def test_a_rank_of_a_group_keeps_to_its_device(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "0")

    def work(device: torch.device) -> list[Any]:
        ranks = Group(0, 1, device)
        try:
            ranks.check_same(3)
            said = [ranks.any(value) for value in (True, False)]
            return [said, training(model_on(device), "fp32", ranks)]
        finally:
            ranks.close()

    assert_same(work)


# Mistakes are found


def slope(there: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    leaf = there.detach().requires_grad_(True)
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


def test_rows_that_stay_on_the_cpu_are_found():
    with pretended():
        model = model_on(DEVICE)
        with pytest.raises(WrongDeviceError, match="embedding"):
            model(input_ids=ROWS)
        model(input_ids=ROWS.to(DEVICE))


@pytest.mark.parametrize(
    ("module", "name", "path"),
    [
        (cross_entropy, "invert", "factors ekfac"),
        (passes_of, "final_hidden", "passes"),
        (writes, "read_out", "writes"),
        (induction, "token_losses", "probe induction"),
        (trainer, "final_hidden", "training fp32"),
    ],
)
def test_a_tensor_that_comes_back_on_the_cpu_is_found(monkeypatch, module, name, path):
    real = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: real(*given).cpu())
    with pretended(), pytest.raises(WrongDeviceError):
        [*PATHS[path](model_on(DEVICE))]


THREE, ONE, PLACES = torch.ones(3), torch.tensor(2.0), torch.tensor([0, 2])
IN_TWO_PLACES = {
    "a number": (True, lambda there: there + ONE),
    "a number of a choice": (True, lambda there: torch.where(there > 0, ONE, there)),
    "a number to fill with": (True, lambda there: there.masked_fill(there > 0, ONE)),
    "a number to put": (True, lambda there: there.index_put_((PLACES,), ONE)),
    "indices": (True, lambda there: there[PLACES]),
    "indices, a slope": (True, lambda there: slope(there, lambda x: x[PLACES])),
    "a copy": (True, lambda there: there.copy_(THREE)),
    "a copy back": (True, lambda there: THREE.clone().copy_(there)),
    "entries": (False, lambda there: there + THREE),
    "entries, changed": (False, lambda there: there.mul_(THREE)),
    "a number, changed": (False, lambda there: ONE.clone().add_(there.sum())),
    "a stack": (False, lambda there: torch.stack([there.sum(), ONE])),
    "a product": (False, lambda there: there @ THREE),
    "rows": (False, lambda there: there.index_select(0, PLACES)),
    "gathered": (False, lambda there: there.gather(0, PLACES)),
    "indices into the CPU": (False, lambda there: THREE[there.long()]),
    "entries to put": (False, lambda there: there.index_put_((PLACES,), THREE[:2])),
    "a result": (False, lambda there: torch.exp(there, out=torch.empty(3))),
}


@pytest.mark.parametrize("case", IN_TWO_PLACES)
def test_what_a_gpu_takes_from_the_cpu_is_taken_and_no_more(case):
    allowed, work = IN_TWO_PLACES[case]
    there = Placed(torch.ones(3))
    with pretended():
        if allowed:
            work(there)
        else:
            with pytest.raises(WrongDeviceError):
                work(there)


def test_numpy_takes_nothing_from_the_device():
    with pretended(), pytest.raises(RuntimeError, match="numpy"):
        np.asarray(Placed(torch.ones(3)))
