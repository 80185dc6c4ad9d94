"""The dataset probe: any rows, with positions and the tokens wanted there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.cross_entropy import token_losses
from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.neox import Model, final_hidden
from headwater.probes.registry import ProbeData, probe


# No head score follows an arbitrary dataset: the config check wants the head given, and
# the score only describes it.
@probe(tracks="prefix_matching")
def dataset(model: Model, head: Head, data: ProbeData) -> Float[Tensor, " count"]:
    """Mean log-probability of the wanted tokens at the wanted positions.

    Args:
        head: unused; the target restricts the gradient to its head.
        data: see `read_rows`; a position's distribution is the model's after reading
            the row up to and with that position.

    Returns:
        f of each row in nats per token.
    """
    assert data.targets is not None
    assert data.weights is not None
    hidden = final_hidden(model, data.tokens)
    unembedding = model.get_output_embeddings().weight
    losses = token_losses(hidden, unembedding, data.targets)
    return -(losses * data.weights.to(losses)).sum(dim=1)


def read_rows(
    path: Path, encode: Callable[[str], list[int]], vocabulary: int, longest: int
) -> ProbeData:
    """Read the rows of a dataset probe: JSON lines.

    A line holds `tokens` (ids) or `text`; `positions`, counted from 0, by default every
    one but the last; and `targets`, a token id for each of them, by default the row's
    own next tokens.

    Args:
        encode: text to token ids.
        vocabulary: ids must be below it.
        longest: most tokens of a row, the model's positions.

    Raises:
        HeadwaterError: names the file, the line and the key.
    """
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise HeadwaterError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines if any(lines) else [], start=1):
        try:
            rows.append(_row(json.loads(line), encode, vocabulary, longest))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            absent = isinstance(error, KeyError)
            reason = 'no "tokens" and no "text"' if absent else error
            raise HeadwaterError(f"{path}: line {number}: {reason}") from error
    if not any(lines):
        raise HeadwaterError(f"{path}: no rows; a dataset probe needs at least one")
    return _pad(rows)


Row = tuple[list[int], list[int], list[int]]


def _row(
    value: Any, encode: Callable[[str], list[int]], vocabulary: int, longest: int
) -> Row:
    if not isinstance(value, dict):
        raise ValueError('not an object such as {"text": ..., "positions": [...]}')
    tokens = value["tokens"] if "tokens" in value else encode(value["text"])
    positions = value.get("positions", list(range(len(tokens) - 1)))
    if len(tokens) > longest:
        raise ValueError(f"{len(tokens)} tokens, but the model has {longest} positions")
    if not isinstance(positions, list) or not isinstance(tokens, list):
        raise ValueError('"tokens" and "positions" must be lists')
    if len(set(positions)) < len(positions):
        raise ValueError('"positions" names a position twice')
    if not positions or not all(0 <= p < len(tokens) for p in positions):
        raise ValueError(f'"positions" must lie in 0..{len(tokens) - 1}, at least one')
    targets = value.get("targets") or list(_next(tokens, positions))
    if len(targets) != len(positions):
        raise ValueError(f'{len(targets)} "targets" for {len(positions)} "positions"')
    for name in (*tokens, *targets):
        if not isinstance(name, int) or not 0 <= name < vocabulary:
            raise ValueError(f"token id {name!r} is not in 0..{vocabulary - 1}")
    return tokens, positions, targets


def _next(tokens: list[Any], positions: list[int]) -> Iterator[int]:
    for position in positions:
        if position + 1 == len(tokens):
            raise ValueError('the last position has no next token; give "targets"')
        yield tokens[position + 1]


def _pad(rows: list[Row]) -> ProbeData:
    """Rows of one length: what pads them stands at the end and counts nothing."""
    shape = (len(rows), max(len(tokens) for tokens, _, _ in rows))
    ids, wanted = torch.zeros(shape, dtype=torch.long), torch.zeros(shape).long()
    weights = torch.zeros(shape, dtype=torch.float64)
    for i, (tokens, positions, targets) in enumerate(rows):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        wanted[i, positions] = torch.tensor(targets)
        weights[i, positions] = 1 / len(positions)
    return ProbeData(ids, wanted, weights)
