"""All motifs of a ranking: which rows are mined, and what is found in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from headwater.catalysts.contrast import Sample, p_of
from headwater.catalysts.files import read_looks
from headwater.catalysts.growth import slot_names, unit
from headwater.catalysts.mining import FIXED, Space, mine, rows_of
from headwater.catalysts.motifs import Motif, motif_of
from headwater.catalysts.motifwords import Named
from headwater.catalysts.repeats import repetition
from headwater.catalysts.shapes import as_shapes, as_tokens, token_kinds
from headwater.catalysts.skeleton import Skeleton, joined, symbols_of
from headwater.corpus.encoding import Encoder
from headwater.heads.targets import open_window
from headwater.identity import Config
from headwater.influence.files import read_scores
from headwater.seeds import stable_seed

TOP, MOST_TOP = 0.1, 2000  # share of the rows that are mined, and how many at most
TIMES = 9  # random rows for each top row, at most
MOST_TOKENS = 1 << 24  # of random rows
MOST = 24  # motifs
SEEDS = {"tokens": (4, 3, 2), "shapes": (6, 5, 4, 3)}  # lengths of n-grams


def mined_rows(
    scores: Float32[np.ndarray, " all"], width: int, seed: int
) -> tuple[Int64[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The highest rows and random other rows, and which are the highest.

    Args:
        scores: of every row of the window.
        width: tokens of a row.
        seed: chooses the other rows.
    """
    order = np.argsort(-scores, kind="stable")
    count = max(1, min(round(TOP * len(scores)), MOST_TOP))
    others = np.random.default_rng(seed).permutation(order[count:])
    most = min(TIMES * count, MOST_TOKENS // width)
    rows = np.concatenate([order[:count], np.sort(others[:most])])
    return rows, np.arange(len(rows)) < count


@dataclass(frozen=True)
class Files:
    """What a sample is read from.

    Attributes:
        window: `heads/window.json`.
        rows: the shards of the corpus.
        tokenizer: `corpus/tokenizer`.
        scores: `influence/<target>.zarr`.
        features: `catalysts/features/<shard>.h5`, in order.
    """

    window: Path
    rows: Sequence[Path]
    tokenizer: Path
    scores: Path
    features: Sequence[Path]


def read_sample(
    files: Files, config: Config, target: str
) -> tuple[Sample, Named, Encoder, int]:
    """The rows that are mined for a target, what they are called, and the seed."""
    _, window = open_window(files.window, files.rows, config)
    encoder = Encoder.open(files.tokenizer, config)
    scores = read_scores([files.scores], config)
    owners = read_looks(files.features, config).owners
    seed = stable_seed(config["seed"], "motifs", target)
    rows, top = mined_rows(scores, window.rows.width, seed)
    masses = np.maximum(scores[rows], 0.0).astype(np.float64)
    sample = Sample(window.take(rows), owners[rows], masses, top)
    texts = encoder.decode_many(list(np.arange(encoder.vocabulary)[:, None]))
    names = np.array(window.rows.domain_names, object)
    named = Named(
        rows=rows + window.first,
        steps=window.step_of(rows),
        domains=names[window.domains()[rows]].tolist(),
        kinds=token_kinds(texts),
        texts=texts,
        decode=lambda tokens: encoder.decode_many([np.array(tokens)])[0],
    )
    return sample, named, encoder, seed


def find_motifs(sample: Sample, texts: Sequence[str], seed: int) -> list[Motif]:
    """The skeletons that the top rows have more often, and spans that come again.

    The ones first that cover the most influence.

    Args:
        texts: of every token.
        seed: of the exchanges that the test's bound is measured by.
    """
    kinds = token_kinds(texts)
    spaces = [
        Space(as_tokens(sample, len(texts)), SEEDS["tokens"]),
        Space(as_shapes(sample, kinds), SEEDS["shapes"]),
    ]
    ends = frozenset(i for i, text in enumerate(texts) if "\n" in text)
    mined = mine(spaces, sample, MOST, seed, ends)
    motifs: dict[object, Motif] = {}
    for one in mined:
        motif = _once(motif_of(one, sample, kinds), sample, ends)
        motifs.setdefault(motif.skeleton.elements, motif)
    found = sorted(motifs.values(), key=lambda one: -_mass(one, sample))
    return [*found, *filter(None, [repetition(sample)])]


def _mass(motif: Motif, sample: Sample) -> float:
    return sample.covered(rows_of(motif.found))[0]


def _once(motif: Motif, sample: Sample, ends: frozenset[int]) -> Motif:
    """What repeats in a motif told once, where the top rows have that as clearly.

    It was grown in symbols, in which one fill may be a word here and a slot there.
    """
    symbols = symbols_of(motif.skeleton.elements)
    part = unit(symbols, ends)
    if len(part) == len(symbols):
        return motif
    letters = slot_names(symbol for symbol in part if isinstance(symbol, str))
    skeleton = Skeleton(
        joined([letters[s] if isinstance(s, str) else s for s in part]),
        {letter: motif.skeleton.lengths[name] for name, letter in letters.items()},
    )
    found = skeleton.find_all(sample.lists)
    p = p_of(found, sample)
    words = frozenset(letters[name] for name in motif.words & letters.keys())
    once = Motif(skeleton, words, found, p, motif.false)
    return once if p <= motif.p and skeleton.fixed >= FIXED else motif
