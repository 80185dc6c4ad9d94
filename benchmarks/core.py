"""The numeric core against a plain training step, in one run.

The floor is a plain Hugging Face forward and backward pass of the same model in the
same precision: all parameters train, cross entropy on full logits, no hooks. The limit
is the frozen model with the chunked loss and no hooks. Random weights: speed does not
depend on them.
"""

import atexit
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from headwater.cross_entropy import token_losses
from headwater.curvature.ekfac import Factors, fit_covariances, fit_lambdas
from headwater.gradients.blocks import blocks_of
from headwater.gradients.flat import gradients_of, sites_of
from headwater.gradients.passes import PassOptions, run_pass
from headwater.influence.files import Product
from headwater.influence.scores import Vectors
from headwater.models import sections, sites
from headwater.models.sites import final_hidden, geometry, readers
from headwater.projection.coordinates import Projection, all_coordinates
from headwater.projection.writer import GradientWriter, fill_store
from headwater.units import EVERY_HEAD, matching, parse

VOCABULARY, REAL = 50304, 50277
SHAPES = {  # hidden, layers, heads, intermediate; more of the config's section `model`
    "14m": (128, 6, 4, 512, {}),
    "70m": (512, 6, 8, 2048, {}),
    "llama": (512, 6, 8, 1408, {"architecture": "llama", "num_key_value_heads": 2}),
}


def new_model(shape: str, dtype: torch.dtype, device: str) -> PreTrainedModel:
    """A random model of Pythia's shape, or of a Llama whose heads share K and V."""
    torch.manual_seed(0)
    hidden, layers, heads, intermediate, more = SHAPES[shape]
    section = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        **more,
    }
    wanted = sections.settings(section, VOCABULARY, 2048)
    config = sites.config_class(sections.kind_of(section))(**wanted)
    return sites.new_model(config).eval().to(device, dtype)


def zipf_rows(count: int, length: int) -> Tensor:
    """Random rows whose tokens are distributed like words, [count, length + 1]."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(2, REAL + 2)
    tokens = random.choice(REAL, (count, length + 1), p=weights / weights.sum())
    return torch.from_numpy(tokens.astype(np.int64))


def floor_step(model: PreTrainedModel, rows: Tensor) -> None:
    """One plain training step, without the optimizer."""
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    rows = rows.to(model.device)
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    cross_entropy(
        logits.flatten(0, 1).float(), rows[:, 1:].flatten(), reduction="sum"
    ).backward()


def limit_step(model: PreTrainedModel, rows: Tensor) -> None:
    """The frozen model, chunked loss, no gradients of heads taken.

    Differentiated down to the first layer's Q, K and V, as the core does: the least
    that any method with this loss can do.
    """
    model.requires_grad_(False)
    rows = rows.to(model.device)
    roots = [
        map_.register_forward_hook(lambda *call: call[2].requires_grad_(True))
        for map_ in readers(model, 0)
    ]
    hidden = final_hidden(model, rows[:, :-1])
    for root in roots:
        root.remove()
    losses = token_losses(hidden, model.get_output_embeddings().weight, rows[:, 1:])
    losses.sum().backward()


@dataclass
class Core:
    """The core's own passes over given rows, all units of a pattern."""

    model: PreTrainedModel
    batch_size: int
    pattern: str = EVERY_HEAD

    def __post_init__(self) -> None:
        sizes = geometry(self.model)
        labels = matching(self.pattern, sizes)
        self.units = [parse(label, sizes, "qkvo") for label in labels]
        self.blocks = blocks_of(self.units)
        widths: dict[str, int] = {}
        for block in self.blocks:
            widths[block.left], widths[block.right] = block.shape
        bases = {n: torch.linalg.qr(torch.randn(w, w))[0] for n, w in widths.items()}
        lambdas = {str(b): torch.rand(b.shape) + 0.1 for b in self.blocks}
        self.factors = Factors(bases, lambdas, 1)

    def options(self, seed: int | None = None) -> PassOptions:
        """Options of a pass."""
        return PassOptions(self.batch_size, seed, REAL)

    def vectors(self, probes: int) -> Vectors:
        """Random products of every unit."""
        flat = {unit: torch.randn(unit.size, probes) for unit in self.units}
        products = [
            Product("x", u, np.empty(0)) for u in self.units for _ in range(probes)
        ]
        columns = {
            u: list(range(i * probes, (i + 1) * probes))
            for i, u in enumerate(self.units)
        }
        return Vectors(products, flat, columns)

    def scores(self, rows: Tensor, vectors: Vectors) -> None:
        """Exact scores of all units."""
        for _, gradients in gradients_of(self.model, rows, self.units, self.options()):
            vectors.scores(gradients).cpu()

    def stored(self, rows: Tensor, folder: Path, bits: int) -> None:
        """Gradients of all units into a store."""
        projections = {
            unit: Projection(all_coordinates(self.factors, unit.blocks), bits, 0)
            for unit in self.units
        }
        writer = GradientWriter(folder, {}, 0, len(rows), projections)
        fill_store(writer, self.model, rows, self.factors.bases, self.options())

    def covariances(self, rows: Tensor) -> None:
        """First pass of EK-FAC."""
        passes = run_pass(self.model, rows, sites_of(self.units), self.options(1))
        fit_covariances((batch.traces for batch in passes), self.blocks)

    def lambdas(self, rows: Tensor) -> None:
        """Second pass of EK-FAC."""
        bases = self.factors.bases
        passed = gradients_of(self.model, rows, self.units, self.options(2), bases)
        fit_lambdas(gradients for _, gradients in passed)


def turn(
    variant: str, model: PreTrainedModel, rows: Tensor, batch: int
) -> Callable[[], None]:
    """One turn of a variant over all rows."""
    if variant in ("floor", "limit"):
        step = floor_step if variant == "floor" else limit_step
        return lambda: [step(model, part) for part in rows.split(batch)] and None
    middle = geometry(model).layers // 2
    core = Core(model, batch, f"L{middle}N*" if "neurons" in variant else EVERY_HEAD)
    temporary = tempfile.TemporaryDirectory(prefix="headwater-bench-")
    atexit.register(temporary.cleanup)
    folder = Path(temporary.name)
    one, eight = core.vectors(1), core.vectors(8)
    return {
        "scores_all_heads": lambda: core.scores(rows, one),
        "scores_all_heads_8_probes": lambda: core.scores(rows, eight),
        "stored_all_heads": lambda: core.stored(rows, folder / "store.zarr", 4),
        "scores_layer_neurons": lambda: core.scores(rows, one),
        "stored_layer_neurons": lambda: core.stored(rows, folder / "store.zarr", 4),
        "covariances": lambda: core.covariances(rows),
        "lambdas": lambda: core.lambdas(rows),
    }[variant]
