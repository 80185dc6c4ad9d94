"""What every head does at a checkpoint: three standard scores."""

import pandas as pd
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from headwater.geometry import Head
from headwater.neox import Model, attention_patterns, dense_weight, geometry, qkv_weight

SCORES = ("prefix_matching", "previous_token", "copying")


@torch.no_grad()
def head_scores(
    model: Model, sequences: Int[Tensor, "count length"]
) -> dict[str, dict[Head, float]]:
    """Every score of every head.

    Args:
        model: on its device; switched to eager attention.
        sequences: random tokens, repeated once.

    Returns:
        Score name to head to value:
        `prefix_matching` (Olsson et al. 2022): mean attention from a token of the
        second half to the token after its first occurrence, 0 to 1.
        `previous_token`: mean attention from t to t - 1 in the first half, 0 to 1.
        `copying` (Elhage et al. 2021): sum of the eigenvalues of the full OV circuit
        over the sum of their magnitudes, -1 to 1 (1 = copies). LayerNorms are ignored.
    """
    model.set_attn_implementation("eager")
    half = sequences.shape[1] // 2
    patterns = attention_patterns(model, sequences)
    scores: dict[str, dict[Head, float]] = {name: {} for name in SCORES}
    overlap = vocabulary_overlap(model)
    for head in geometry(model).all_heads():
        pattern = patterns[head.layer][:, head.index]
        scores["prefix_matching"][head] = _prefix_matching(pattern, half)
        scores["previous_token"][head] = _previous_token(pattern, half)
        scores["copying"][head] = copying_score(model, head, overlap)
    return scores


def scores_table(step: int, scores: dict[str, dict[Head, float]]) -> pd.DataFrame:
    """A line a head at one step: step, head, one column a score."""
    heads = sorted(scores[SCORES[0]])
    columns = {name: [scores[name][head] for head in heads] for name in SCORES}
    return pd.DataFrame({"step": step, "head": [str(h) for h in heads], **columns})


def _prefix_matching(pattern: Float[Tensor, "count query key"], half: int) -> float:
    # Query t, key t - half + 1; the first of them is the last of the first half.
    stripe = pattern.diagonal(offset=1 - half, dim1=1, dim2=2)[:, 1:]
    return float(stripe.double().mean())


def _previous_token(pattern: Float[Tensor, "count query key"], half: int) -> float:
    stripe = pattern[:, :half, :half].diagonal(offset=-1, dim1=1, dim2=2)
    return float(stripe.double().mean())


def vocabulary_overlap(model: Model) -> Float64[Tensor, "hidden hidden"]:
    """Embedding times unembedding, over the vocabulary."""
    embedding = model.gpt_neox.embed_in.weight.double()
    return embedding.T @ model.get_output_embeddings().weight.double()


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
    value = qkv_weight(model, head.layer)[head.index, 2].double()  # [d_head, hidden]
    output = dense_weight(model, head.layer)[:, head.index].double()  # [hidden, d_head]
    if overlap is None:
        overlap = vocabulary_overlap(model)
    circuit = value @ overlap @ output
    if not circuit.isfinite().all():
        return float("nan")  # LAPACK would end the process
    eigenvalues = torch.linalg.eigvals(circuit)
    return float(eigenvalues.real.sum() / eigenvalues.abs().sum().clamp(min=1e-300))
