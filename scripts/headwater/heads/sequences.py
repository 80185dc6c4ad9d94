"""Random repeated sequences, for head scores and probes."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from headwater.corpus.encoding import Encoder
from headwater.corpus.holdout import token_counts
from headwater.errors import HeadwaterError
from headwater.identity import Config


def repeated_sequences(
    count: int, half: int, vocabulary: Integer[np.ndarray, " ids"], seed: int
) -> Int64[Tensor, "{count} {2*half}"]:
    """Sequences `[r; r]` of distinct random tokens r.

    Args:
        half: length of r; at most the number of tokens to draw from.
        vocabulary: token ids to draw from, without special and padding ids.
        seed: every sequence depends on it and on its own number only.
    """
    rows = []
    for number in range(count):
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        rows.append(generator.choice(vocabulary, size=half, replace=False))
    once = torch.from_numpy(np.stack(rows).astype(np.int64))
    return torch.cat([once, once], dim=1)


def probe_vocabulary(
    counts: Integer[np.ndarray, " ids"], special: list[int]
) -> Int64[np.ndarray, " seen"]:
    """Ids that occur in the training text and are not special tokens.

    Padding ids and ids never trained on have untrained embeddings; a score or probe on
    them would measure noise.
    """
    seen = np.flatnonzero(counts > 0)
    return seen[~np.isin(seen, special)]


def load_probe_vocabulary(
    held_out: Path, tokenizer: Path, config: Config
) -> Int64[np.ndarray, " seen"]:
    """`probe_vocabulary` of the experiment's corpus.

    Args:
        held_out: the held-out store, which knows the corpus's token counts.

    Raises:
        HeadwaterError: fewer tokens than a probe sequence needs.
    """
    special = Encoder.open(tokenizer, config).special_ids
    ids = probe_vocabulary(token_counts(held_out, config), special)
    half = config["heads"]["half_length"]
    if len(ids) < half:
        raise HeadwaterError(
            f"heads.half_length: {half} distinct tokens wanted, but only {len(ids)} "
            "occur in the corpus; lower it"
        )
    return ids
