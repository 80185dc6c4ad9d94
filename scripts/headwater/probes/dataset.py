"""The dataset probe: any rows, with positions and the tokens wanted there."""

import reprlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.cross_entropy import token_losses
from headwater.errors import HeadwaterError
from headwater.models.sites import Model, final_hidden
from headwater.probes.registry import Wanted, probe
from headwater.strictjson import loads
from headwater.suggestions import suggestion
from headwater.unreadable import unreadable

KEYS = ("tokens", "text", "positions", "targets")


# No head score follows an arbitrary dataset: the config check wants the head given, and
# the score only describes it.
@probe(tracks="prefix_matching", subject="model")
def dataset(model: Model, _: None, data: Wanted) -> Float[Tensor, " count"]:
    """Mean log-probability of the wanted tokens at the wanted positions.

    Args:
        data: see `read_rows`; a position's distribution is the model's after reading
            the row up to and with that position.

    Returns:
        f of each row in nats per token.
    """
    hidden = final_hidden(model, data.tokens)
    unembedding = model.get_output_embeddings().weight
    losses = token_losses(hidden, unembedding, data.targets)
    return -(losses * data.weights.to(losses)).sum(dim=1)


def read_rows(
    path: Path, encode: Callable[[str], list[int]], vocabulary: int, longest: int
) -> Wanted:
    """Read the rows of a dataset probe: JSON lines.

    A line holds `tokens` (ids) or `text`; `positions`, counted from 0, by default every
    one but the last; and `targets`, a token id for each of them, by default the row's
    own next tokens. Nothing else: a misspelt key would ask another question.

    Args:
        encode: text to token ids.
        vocabulary: ids must be below it.
        longest: most tokens of a row, the model's positions.

    Raises:
        HeadwaterError: names the file, the line and the key.
    """
    rows = []
    for number, line in enumerate(lines_of(path), start=1):
        try:
            rows.append(_row(loads(line), encode, vocabulary, longest))
        except ValueError as error:
            raise HeadwaterError(f"{path}: line {number}: {error}") from error
    return _pad(rows)


def lines_of(path: Path) -> list[str]:
    """The lines of a file of rows, of which at least one has something in it.

    Raises:
        HeadwaterError: there is none, or the file cannot be read.
    """
    data = b""
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").rstrip().split("\n")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise HeadwaterError(
            f"{path}: line {number}: not UTF-8; save the file in that encoding"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not any(lines):
        raise HeadwaterError(f"{path}: no rows; write at least one line")
    return lines


Row = tuple[list[int], list[int], list[int]]


def _row(
    value: Any, encode: Callable[[str], list[int]], vocabulary: int, longest: int
) -> Row:
    tokens = tokens_of(value, encode, KEYS)
    positions = list(range(len(tokens) - 1))
    if "positions" in value:
        positions = _whole(value, "positions")
    if len(tokens) > longest:
        raise ValueError(f"{len(tokens)} tokens, but the model has {longest} positions")
    if len(set(positions)) < len(positions):
        raise ValueError('"positions" names a position twice')
    if not positions or not all(0 <= p < len(tokens) for p in positions):
        raise ValueError(f'"positions" must lie in 0..{len(tokens) - 1}, at least one')
    if "targets" in value:
        targets = _whole(value, "targets")
    else:
        targets = list(_next(tokens, positions))
    if len(targets) != len(positions):
        raise ValueError(f'{len(targets)} "targets" for {len(positions)} "positions"')
    check_ids([*tokens, *targets], vocabulary)
    return tokens, positions, targets


def check_ids(tokens: list[int], vocabulary: int) -> None:
    """See that the vocabulary has these ids.

    Raises:
        ValueError: names one that it has not.
    """
    for name in tokens:
        if not 0 <= name < vocabulary:
            raise ValueError(f"token id {name} is not in 0..{vocabulary - 1}")


def tokens_of(
    value: Any, encode: Callable[[str], list[int]], keys: Sequence[str]
) -> list[int]:
    """Token ids of a line, from `tokens` or `text`.

    Args:
        keys: that a line may have.

    Raises:
        ValueError: says what is wrong with the line.
    """
    if not isinstance(value, dict):
        raise ValueError('not an object such as {"text": ...}')
    for key in value:
        if key not in keys:
            known = f"; known are {', '.join(keys)}"
            raise ValueError(f'unknown key "{key}"' + suggestion(key, keys, known))
    if ("tokens" in value) == ("text" in value):
        both = 'both "tokens" and "text"; give one of them'
        raise ValueError(both if "text" in value else 'no "tokens" and no "text"')
    if "text" not in value:
        return _whole(value, "tokens")
    text = value["text"]
    if not isinstance(text, str):
        raise ValueError(f'"text" is {reprlib.repr(text)}, no text')
    text.encode()  # JSON can spell half a character, which no tokenizer takes
    return encode(text)


def _whole(value: dict[str, Any], key: str) -> list[int]:
    found = value[key]
    if not isinstance(found, list):
        raise ValueError(f'"{key}" must be a list of whole numbers')
    for entry in found:
        if type(entry) is not int:  # neither 1.0 nor true
            what = reprlib.repr(entry)
            raise ValueError(f'"{key}" holds {what}; it must hold whole numbers')
    return found


def _next(tokens: list[int], positions: list[int]) -> Iterator[int]:
    for position in positions:
        if position + 1 == len(tokens):
            raise ValueError('the last position has no next token; give "targets"')
        yield tokens[position + 1]


def _pad(rows: list[Row]) -> Wanted:
    """Rows of one length: what pads them stands at the end and counts nothing."""
    shape = (len(rows), max(len(tokens) for tokens, _, _ in rows))
    ids, wanted = torch.zeros(shape, dtype=torch.long), torch.zeros(shape).long()
    weights = torch.zeros(shape, dtype=torch.float64)
    for i, (tokens, positions, targets) in enumerate(rows):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        wanted[i, positions] = torch.tensor(targets)
        weights[i, positions] = 1 / len(positions)
    return Wanted(ids, wanted, weights)
