"""A tiny random GPT-NeoX in float64, and slow, plain twins of what the library does."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater import cross_entropy as loss
from headwater.config.target_checks import WITH_ROWS
from headwater.geometry import Geometry, Head
from headwater.heads.sequences import repeated_sequences
from headwater.models.sites import geometry
from headwater.probes import PROBES, ProbeData, Repeats, Wanted
from headwater.training import trainer
from headwater.units import Block, Mode, Unit, parse

torch.set_num_threads(1)

VOCABULARY = 31
TINY = Geometry(layers=3, heads=3, hidden=24, wide=48)  # of `tiny_model`


def tiny_model(
    seed: int = 0,
    rotary_pct: float = 0.25,
    layers: int = 3,
    hidden: int = 24,
    heads: int = 3,
    spread: float = 0.35,
    attention_bias: bool = True,
) -> GPTNeoXForCausalLM:
    """A random float64 model whose attention is far from uniform."""
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * hidden,
        rotary_pct=rotary_pct,
        max_position_embeddings=64,
        attention_bias=attention_bias,
        use_cache=False,
    )
    model = GPTNeoXForCausalLM(config).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator).double() * spread
            norm_scale = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + noise if norm_scale else noise)
    return model


def unit(label: Head | str, mode: Mode = "qkvo", sizes: Geometry = TINY) -> Unit:
    """A head as a unit, or another unit by its label."""
    return parse(str(label), sizes, mode)


def random_rows(count: int, length: int = 9, seed: int = 1) -> Tensor:
    """Token ids [count, length + 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (count, length + 1), generator=generator)


def repeated_rows(count: int, half: int = 6, seed: int = 2) -> Tensor:
    """Random sequences repeated once, [count, 2 * half]."""
    first = random_rows(count, half - 1, seed)
    return torch.cat([first, first], dim=1)


def repeats(count: int, half: int = 6, seed: int = 2) -> Repeats:
    """`repeated_rows`, with the places of both copies."""
    period = torch.full((count,), half)
    return Repeats(repeated_rows(count, half, seed), 0 * period, period, period)


def scattered(count: int, seed: int = 2) -> Repeats:
    """Sequences of 14 tokens with other periods and other filler each."""
    shape = {"length": 14, "min_period": 2, "max_period": 6}
    return repeated_sequences(count, shape, np.arange(VOCABULARY), seed)


def probe_data(name: str, count: int, seed: int = 2) -> ProbeData:
    """What a probe of this name can be asked on; random targets in rows of a file."""
    data = scattered(count, seed)
    if name not in WITH_ROWS:
        return data
    generator, tokens = torch.Generator().manual_seed(seed), data.tokens
    targets = torch.randint(0, VOCABULARY, tokens.shape, generator=generator)
    weights = torch.rand(tokens.shape, generator=generator).double()
    weights *= torch.rand(tokens.shape, generator=generator) < 0.4
    weights[:, -2] += 0.1
    return Wanted(tokens, targets, weights / weights.sum(dim=1, keepdim=True))


OF_HEADS = sorted(name for name in PROBES if PROBES[name].subject != "neuron")


def ask(name: str, model: nn.Module, label: Head | str, data: ProbeData) -> Tensor:
    """What a probe finds of a head or another unit, row by row."""
    probe = PROBES[name]
    asked = probe.asked_of(parse(str(label), geometry(model), "qkvo"))
    return probe.function(model, asked, data)


@torch.no_grad()
def sample_labels(
    hidden: Tensor, unembedding: Tensor, uniforms: Tensor, vocabulary: int | None = None
) -> Tensor:
    """The labels that `loss.sampled_losses` draws: token ids [batch, length]."""
    drawn = []

    def keep(part: slice, probability: Tensor) -> Tensor:
        drawn.append(loss.invert(probability, uniforms.flatten()[part], vocabulary))
        return drawn[-1]

    loss._losses(hidden.detach(), unembedding, keep)
    return torch.cat(drawn).view(uniforms.shape)


def weighted_loss(model, rows: Tensor, weights: Tensor, divisor: str) -> Tensor:
    """The trainer's loss of a whole batch."""
    count = trainer.divisor_of(weights, divisor)
    return trainer.weighted_loss(model, rows, weights, count)


def row_loss(model: GPTNeoXForCausalLM, row: Tensor, labels: Tensor) -> Tensor:
    """Summed next-token loss of one row [length + 1] against `labels` [length]."""
    logits = model(input_ids=row[None, :-1], use_cache=False).logits[0]
    return cross_entropy(logits, labels, reduction="sum")


def head_slices(
    model: GPTNeoXForCausalLM, head: Head, qkv: Tensor, dense: Tensor
) -> dict[str, Tensor]:
    """One head's slices of tensors shaped like `query_key_value` and `dense` weights.

    Written with plain row numbers, apart from the library: rows of `query_key_value`
    run over heads, within a head over q, k, v, within those over the head's width.
    Blocks are [inputs, outputs], so each is a transposed slice.
    """
    width = model.config.hidden_size // model.config.num_attention_heads
    start = 3 * width * head.index
    rows = list(range(start, start + 3 * width))
    q_and_k, values = rows[: 2 * width], rows[2 * width :]
    columns = list(range(width * head.index, width * (head.index + 1)))
    return {
        "qk": qkv[q_and_k].T.clone(),
        "v": qkv[values].T.clone(),
        "o": dense[:, columns].T.clone(),
    }


def attention_weights(model: GPTNeoXForCausalLM, layer: int) -> tuple[Tensor, Tensor]:
    """The weights of `query_key_value` and `dense` of a layer."""
    attention = model.gpt_neox.layers[layer].attention
    return attention.query_key_value.weight, attention.dense.weight


def head_gradient(
    model: GPTNeoXForCausalLM, head: Head, value: Tensor
) -> dict[str, Tensor]:
    """Autograd gradient of a scalar, by block of one head, from full weights."""
    weights = attention_weights(model, head.layer)
    grads = torch.autograd.grad(
        value, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return head_slices(model, head, *grads)


def loop_gradients(
    model: GPTNeoXForCausalLM, rows: Tensor, labels: Tensor, heads: list[Head]
) -> list[dict[Head, dict[str, Tensor]]]:
    """Per-row gradients of every head, one row at a time, by plain autograd."""
    model.requires_grad_(True)
    result = []
    for row, label in zip(rows, labels, strict=True):
        loss = row_loss(model, row, label)
        result.append({head: head_gradient(model, head, loss) for head in heads})
    return result


def looped(row: dict[Head, dict[str, Tensor]], block: Block) -> Tensor:
    """What `loop_gradients` found for a block of a head, in one row."""
    return row[Head.parse(block.unit)][block.name]


class RowsLoss(nn.Module):
    """The trainer's loss of weighted rows, as a sum over tokens, from full logits.

    Unlike the trainer's own it can be differentiated twice.
    """

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        logits = self.model(input_ids=rows[:, :-1], use_cache=False).logits
        labels, shape = rows[:, 1:].flatten(), rows[:, 1:].shape
        losses = cross_entropy(logits.flatten(0, 1), labels, reduction="none")
        return (losses.view(shape).sum(dim=1) * weights).sum() / len(rows)


class HeadTraining:
    """Training of one head of a frozen model, to convergence.

    The objective is the rows' weighted mean loss plus a pull, `damping`, to the start.
    """

    def __init__(self, model, rows: Tensor, head: Head) -> None:
        self.head = head
        self.hidden = model.config.hidden_size
        self.width = self.hidden // model.config.num_attention_heads
        self.model, self.rows = model.eval().requires_grad_(False), rows
        self.ones = torch.ones(len(rows)).double()
        self.objective = RowsLoss(model)
        self.weights = attention_weights(model, self.head.layer)
        self.base = [weight.detach().clone() for weight in self.weights]
        self.start = self.flat(head_slices(model, head, *self.base))
        self.damping = torch.zeros_like(self.start)

    @staticmethod
    def flat(blocks: dict[str, Tensor]) -> Tensor:
        return torch.cat([blocks[name].flatten() for name in ("qk", "v", "o")])

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        size = self.hidden * self.width
        qk, v, o = flat.split((2 * size, size, size))
        return {
            "qk": qk.view(self.hidden, 2 * self.width),
            "v": v.view(self.hidden, self.width),
            "o": o.view(self.width, self.hidden),
        }

    def matrices(self, theta: Tensor) -> list[Tensor]:
        """Full weights with the head's slices replaced, differentiably."""
        new, (qkv, dense) = self.split(theta), self.base
        first, column = 3 * self.width * self.head.index, self.width * self.head.index
        return [
            torch.cat(
                [qkv[:first], new["qk"].T, new["v"].T, qkv[first + 3 * self.width :]]
            ),
            torch.cat(
                [dense[:, :column], new["o"].T, dense[:, column + self.width :]], 1
            ),
        ]

    def value(self, theta: Tensor, weights: Tensor) -> Tensor:
        prefix = f"model.gpt_neox.layers.{self.head.layer}.attention"
        names = (f"{prefix}.query_key_value.weight", f"{prefix}.dense.weight")
        replaced = dict(zip(names, self.matrices(theta), strict=True))
        loss = functional_call(self.objective, replaced, (self.rows, weights))
        return loss + (self.damping * (theta - self.start).square()).sum() / 2

    def slope(
        self, theta: Tensor, weights: Tensor, graph: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Leaf, value and gradient; with `graph` the gradient can be differentiated."""
        leaf = theta.detach().requires_grad_(True)
        value = self.value(leaf, weights)
        (slope,) = torch.autograd.grad(value, leaf, create_graph=graph)
        return leaf, value.detach(), slope

    def hessian(self, theta: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            leaf, _, slope = self.slope(theta, self.ones, graph=True)
            columns = [
                torch.autograd.grad(entry, leaf, retain_graph=True)[0]
                for entry in slope
            ]
        return torch.stack(columns)

    def descend(self, theta: Tensor) -> Tensor:
        theta = theta.clone().requires_grad_(True)
        solver = torch.optim.LBFGS(
            [theta], max_iter=300, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            _, value, theta.grad = self.slope(theta, self.ones)
            return value

        solver.step(closure)
        return theta.detach()

    def newton(self, theta: Tensor, weights: Tensor, hessian: Tensor) -> Tensor:
        for _ in range(40):
            slope = self.slope(theta, weights)[2]
            if slope.norm() < 1e-9:
                return theta
            theta = theta - torch.linalg.solve(hessian, slope)
        raise AssertionError("Newton's method did not converge")

    def put(self, theta: Tensor) -> None:
        for weight, matrix in zip(self.weights, self.matrices(theta), strict=True):
            weight.copy_(matrix)
