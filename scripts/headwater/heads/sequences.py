"""Random sequences in which a span of tokens stands twice, for scores and probes.

Each is random filler, a span of distinct tokens, filler, the span again, and filler to
the end. The span's length (its *period*) and its places are drawn for each sequence: a
head that counts positions, and attends a fixed number of them back, finds nothing. All
other tokens of a sequence occur once.

Three draws that share nothing are used for three purposes, by the names below: to
choose a head and the window, to score rows for it, and to judge arms.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Integer

from headwater.corpus.encoding import Encoder
from headwater.corpus.holdout import token_counts
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.probes.registry import Repeats
from headwater.seeds import stable_seed

CHOOSING, SCORING, JUDGING = "heads", "probe", "evaluation"

# What a layout is drawn from: `length`, `min_period` and `max_period` of the section
# `heads` of the config.
Shape = Mapping[str, int]


def repeated_sequences(
    count: int, shape: Shape, vocabulary: Integer[np.ndarray, " ids"], seed: int
) -> Repeats:
    """Random sequences with a repeated span.

    With both periods half of the length they are the classical `[r; r]`.

    Args:
        shape: of the sequences; the vocabulary has at least `length` - `min_period`
            tokens.
        vocabulary: token ids to draw from, without special and padding ids.
        seed: every sequence depends on it and on its own number only.
    """
    rows, places = [], []
    for number in range(count):
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        first, second, period = layout(shape, generator)
        size = shape["length"] - period
        once = generator.choice(vocabulary, size=size, replace=False)
        rows.append(np.insert(once, second, once[first : first + period]))
        places.append((first, second, period))
    return Repeats(
        torch.from_numpy(np.stack(rows).astype(np.int64)), *torch.tensor(places).T
    )


def layout(shape: Shape, generator: np.random.Generator) -> tuple[int, int, int]:
    """Where the two copies of a span begin, and its length: first, second, period."""
    period = int(generator.integers(shape["min_period"], shape["max_period"] + 1))
    filler = shape["length"] - 2 * period
    before, not_after = np.sort(generator.integers(0, filler + 1, size=2)).tolist()
    return before, not_after + period, period


def shuffled(data: Repeats) -> Repeats:
    """The same with every second copy in another order: the zero control.

    No token stands where it stood. The order is random but always the same.
    """
    tokens = data.tokens.cpu().clone()
    spans = zip(data.second.tolist(), data.period.tolist(), strict=True)
    for number, (start, period) in enumerate(spans):
        cycle = np.random.Generator(np.random.Philox(number)).permutation(period)
        tokens[number, start + cycle] = tokens[number, start + np.roll(cycle, 1)]
    return replace(data, tokens=tokens.to(data.tokens.device))


def probe_vocabulary(
    counts: Integer[np.ndarray, " ids"], special: list[int]
) -> Int64[np.ndarray, " seen"]:
    """Ids that occur in the training text and are not special tokens.

    Padding ids and ids never trained on have untrained embeddings; a score or probe on
    them would measure noise.
    """
    seen = np.flatnonzero(counts > 0)
    return seen[~np.isin(seen, special)]


def draw_sequences(
    draw: str, count: int, held_out: Path, tokenizer: Path, config: Config
) -> Repeats:
    """Sequences of the experiment's own vocabulary, for one of the purposes above.

    Args:
        draw: `CHOOSING`, `SCORING` or `JUDGING`.
        held_out: the held-out store, which knows the corpus's token counts.

    Raises:
        HeadwaterError: the corpus has fewer tokens than a sequence needs.
    """
    special = Encoder.open(tokenizer, config).special_ids
    ids = probe_vocabulary(token_counts(held_out, config), special)
    shape = config["heads"]
    needed = shape["length"] - shape["min_period"]
    if len(ids) < needed:
        raise HeadwaterError(
            f"heads.length: {needed} distinct tokens wanted (length less min_period), "
            f"but only {len(ids)} occur in the corpus; lower it"
        )
    return repeated_sequences(count, shape, ids, stable_seed(config["seed"], draw))
