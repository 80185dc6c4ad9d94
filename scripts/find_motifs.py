"""The skeletons that a target's top rows have more often than random rows."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.catalysts.contrast import Sample
from headwater.catalysts.files import read_looks
from headwater.catalysts.mining import Space, mine
from headwater.catalysts.motiffile import write_motifs
from headwater.catalysts.motifs import motif_of
from headwater.catalysts.motifwords import Named, motif_file
from headwater.catalysts.repeats import repetition
from headwater.catalysts.shapes import as_shapes, as_tokens, token_kinds
from headwater.corpus.encoding import Encoder
from headwater.heads.targets import open_window, read_target
from headwater.influence.files import read_scores
from headwater.seeds import stable_seed

TOP, MOST_TOP = 0.1, 2000  # share of the rows that are mined, and how many at most
TIMES = 9  # random rows for each top row, at most
MOST_TOKENS = 1 << 24  # of random rows
MOST = 24  # motifs
SEEDS = {"tokens": (4, 3, 2), "shapes": (6, 5, 4, 3)}  # lengths of n-grams


def sample_of(scores, owners, window, seed):
    """Top rows and random other rows; and their numbers in the window."""
    order = np.argsort(-scores, kind="stable")
    count = max(1, min(round(TOP * len(scores)), MOST_TOP))
    others = np.random.default_rng(seed).permutation(order[count:])
    most = min(TIMES * count, MOST_TOKENS // window.rows.width)
    rows = np.concatenate([order[:count], np.sort(others[:most])])
    top = np.arange(len(rows)) < count
    masses = np.maximum(scores[rows], 0.0).astype(np.float64)
    return rows, Sample(window.take(rows), owners[rows], masses, top)


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, name = snakemake.input, snakemake.wildcards.target
        _, window = open_window(inputs.window, inputs.rows, config)
        encoder = Encoder.open(Path(inputs.tokenizer), config)
        scores = read_scores([Path(inputs.scores)], config)
        owners = read_looks([Path(p) for p in inputs.features], config).owners
        seed = stable_seed(config["seed"], "motifs", name)
        rows, sample = sample_of(scores, owners, window, seed)
        ids = np.arange(encoder.vocabulary)
        texts = encoder.decode_many(list(ids[:, None]))
        kinds = token_kinds(texts)
        spaces = [
            Space(as_tokens(sample, len(ids)), SEEDS["tokens"]),
            Space(as_shapes(sample, kinds), SEEDS["shapes"]),
        ]
        ends = frozenset(i for i, text in enumerate(texts) if "\n" in text)
        mined = mine(spaces, sample, MOST, seed, ends)
        motifs = [motif_of(one, sample, kinds) for one in mined]
        motifs += filter(None, [repetition(sample)])
        names = np.array(window.rows.domain_names, object)
        named = Named(
            rows=rows + window.first,
            steps=window.step_of(rows),
            domains=names[window.domains()[rows]].tolist(),
            kinds=kinds,
            texts=texts,
            decode=lambda tokens: encoder.decode_many([np.array(tokens)])[0],
        )
        target = read_target(Path(inputs.target), config)
        found = motif_file(motifs, sample, named, target=name, unit=target.unit)
        write_motifs(Path(snakemake.output[0]), found)


main(snakemake)  # noqa: F821
