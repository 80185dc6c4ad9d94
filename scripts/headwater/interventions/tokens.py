"""Arms of tokens (`action: mask`): their losses count nothing, but they are read.

A masked token is predicted in vain, and stays what others are predicted from. So the
row is left as it is, and the arm says which of its losses teach the head. A kind of
rows that can be masked has a line in `MASKS`; it picks from all tokens of the window
that are no padding:

token_score     what the token's own loss adds to the row's score (`measure_tokens`)
token_loss      nats, at the last checkpoint at which the row was scored
token_again     whether it stood earlier in the row, after the same token as here
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.random import Generator

from headwater.errors import HeadwaterError
from headwater.interventions.files import ArmRows
from headwater.interventions.measures import ngrams, unpadded

SCORE, LOSS, AGAIN = "token_score", "token_loss", "token_again"
MEASURED = (SCORE, LOSS)  # by a pass of the model

Tokens = Int[np.ndarray, "rows width"]
Predicted = Bool[np.ndarray, "rows length"]  # by token, but for a row's first


@dataclass(frozen=True)
class Mask:
    """How tokens are picked for a kind of rows.

    Attributes:
        label: in a legend, of `{share}`.
        fact: those with the highest are taken, and of equal ones some by chance; ""
            makes it all chance.
        sign: -1 for those with the lowest.
    """

    label: str
    fact: str = ""
    sign: int = 1


MASKS: Mapping[str, Mask] = {
    "top": Mask("the top {share} of tokens", SCORE),
    "bottom": Mask("the bottom {share} of tokens", SCORE, -1),
    "random": Mask("a random {share} of tokens"),
    "loss": Mask("the {share} of tokens with the highest loss", LOSS),
    "repetition": Mask("{share} of tokens, of those that repeat", AGAIN),
}


def masks(arm: Mapping[str, Any]) -> bool:
    """Whether an arm, by its entry in the config, picks tokens in place of rows."""
    return bool(arm["action"] == "mask")


def again(tokens: Tokens) -> Predicted:
    """Whether each predicted token, with the one before it, stood earlier in its row.

    What a head that copies can predict.
    """
    pairs = ngrams(tokens, 2)
    order = np.argsort(pairs, axis=1, kind="stable")
    sorted_pairs = np.take_along_axis(pairs, order, axis=1)
    same = np.zeros(pairs.shape, bool)
    same[:, 1:] = sorted_pairs[:, 1:] == sorted_pairs[:, :-1]
    found = np.empty(pairs.shape, bool)
    np.put_along_axis(found, order, same, axis=1)
    return found


def taught(tokens: Tokens) -> Predicted:
    """Which predicted tokens are no padding."""
    return np.arange(1, tokens.shape[1]) < unpadded(tokens)[:, None]


def pick_tokens(
    kind: str,
    fraction: float,
    facts: Mapping[str, Float[np.ndarray, "rows length"]],
    tokens: Tokens,
    generator: Generator,
) -> Predicted:
    """The tokens that an arm masks.

    Args:
        kind: one of `MASKS`.
        fraction: of the window's tokens that are no padding.
        facts: those of `MEASURED` that the kind asks for.
        tokens: of all rows of the window.
        generator: draws among tokens that are alike.

    Raises:
        HeadwaterError: no token to pick, or fewer of the kind than are wanted.
    """
    mask, free = MASKS[kind], taught(tokens)
    count = round(fraction * int(free.sum()))
    if mask.fact == AGAIN:
        free &= again(tokens)
    if not 0 < count <= free.sum():
        raise HeadwaterError(
            f"arm: {count} tokens wanted, and {free.sum()} to pick from; "
            f"{'lower' if count else 'raise'} the arm's fraction"
        )
    places = np.flatnonzero(free)
    chance = generator.permutation(len(places))
    order = chance
    if mask.fact in facts:
        own = -mask.sign * facts[mask.fact].ravel()[places]
        order = np.lexsort((chance, own))
    found = np.zeros(free.size, bool)
    found[places[order[:count]]] = True
    return found.reshape(free.shape)


def masked_rows(picked: Predicted) -> ArmRows:
    """All rows of the window, in their order, with a weight for each token."""
    numbers = np.arange(len(picked), dtype=np.int64)
    weights = np.where(picked, 0, 1).astype(np.float32)
    return ArmRows(numbers, weights, np.flatnonzero(picked.any(axis=1)))
