"""What every head does at a checkpoint: standard scores, and controls beside them."""

import pandas as pd
import torch
from jaxtyping import Float64
from torch import Tensor

from headwater.geometry import Head
from headwater.heads.sequences import shuffled
from headwater.heads.targets import CONTROLS
from headwater.models.sites import (
    Model,
    attention_patterns,
    embedding,
    geometry,
    output_weight,
    value_weight,
)
from headwater.probes.prefix_matching import matched_attention
from headwater.probes.previous_token import attention_one_back
from headwater.probes.registry import Repeats

BEFORE, AFTER, SHUFFLED = CONTROLS["prefix_matching"]
SCORES = ("prefix_matching", BEFORE, AFTER, SHUFFLED, "previous_token", "copying")
SHUFFLED_EVERY = 4  # sequences: enough for what should be near zero, at half the cost


@torch.no_grad()
def head_scores(model: Model, data: Repeats) -> dict[str, dict[Head, float]]:
    """Every score of every head.

    Args:
        model: on its device; switched to eager attention.
        data: random sequences on the same device.

    Returns:
        Score name to head to value:
        `prefix_matching` (Olsson et al. 2022): mean attention from a token of the
        second copy to the token after its first occurrence, 0 to 1.
        `prefix_matching_before`, `prefix_matching_after`: the same to the key one
        before that one, and to the key one after it.
        `prefix_matching_shuffled`: the same to the same keys, from the same positions,
        with the second copy in another order, so that nothing matches; of every fourth
        sequence.
        `previous_token`: mean attention from t to t - 1 before the second copy, 0 to 1.
        `copying` (Elhage et al. 2021): sum of the eigenvalues of the full OV circuit
        over the sum of their magnitudes, -1 to 1 (1 = copies). LayerNorms are ignored.
    """
    model.set_attn_implementation("eager")
    control = shuffled(data[::SHUFFLED_EVERY])
    patterns, shuffled_patterns = (
        attention_patterns(model, asked.tokens) for asked in (data, control)
    )
    overlap = vocabulary_overlap(model)
    scores: dict[str, dict[Head, float]] = {name: {} for name in SCORES}
    for layer in range(geometry(model).layers):
        pattern = patterns[layer]
        found = {
            "prefix_matching": matched_attention(pattern, data),
            BEFORE: matched_attention(pattern, data, shift=0),
            AFTER: matched_attention(pattern, data, shift=2),
            SHUFFLED: matched_attention(shuffled_patterns[layer], control),
            "previous_token": attention_one_back(pattern, data),
        }
        for name, values in found.items():
            for index, value in enumerate(values.double().mean(dim=0).tolist()):
                scores[name][Head(layer, index)] = value
    for head in geometry(model).all_heads():
        scores["copying"][head] = copying_score(model, head, overlap)
    return scores


def scores_table(step: int, scores: dict[str, dict[Head, float]]) -> pd.DataFrame:
    """A line a head at one step: step, head, one column a score."""
    heads = sorted(scores[SCORES[0]])
    columns = {name: [scores[name][head] for head in heads] for name in SCORES}
    return pd.DataFrame({"step": step, "head": [str(h) for h in heads], **columns})


def vocabulary_overlap(model: Model) -> Float64[Tensor, "hidden hidden"]:
    """Embedding times unembedding, over the vocabulary."""
    unembedding = model.get_output_embeddings().weight
    return embedding(model).double().T @ unembedding.double()


def copying_score(
    model: Model, head: Head, overlap: Float64[Tensor, "hidden hidden"] | None = None
) -> float:
    """Eigenvalue copying score of one head's OV circuit, -1 to 1.

    The circuit `W_E W_V W_O W_U` is [vocabulary, vocabulary] of rank d_head; its
    non-zero eigenvalues are those of the cyclically rotated product, which is only
    [d_head, d_head].

    Args:
        overlap: of the model, where many heads are asked for.
    """
    value = value_weight(model, head).mT.double()  # [d_head, hidden]
    output = output_weight(model, head).mT.double()  # [hidden, d_head]
    if overlap is None:
        overlap = vocabulary_overlap(model)
    circuit = value @ overlap @ output
    if not circuit.isfinite().all():
        return float("nan")  # LAPACK would end the process
    eigenvalues = torch.linalg.eigvals(circuit)
    return float(eigenvalues.real.sum() / eigenvalues.abs().sum().clamp(min=1e-300))
