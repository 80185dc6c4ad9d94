"""The skeletons that a target's top rows have more often than random rows."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.catalysts.contrast import Sample
from headwater.catalysts.files import read_looks
from headwater.catalysts.motiffile import write_motifs
from headwater.catalysts.motifwords import Named, motif_file
from headwater.catalysts.search import find_motifs, mined_rows
from headwater.catalysts.shapes import token_kinds
from headwater.corpus.encoding import Encoder
from headwater.heads.targets import open_window, read_target
from headwater.influence.files import read_scores
from headwater.seeds import stable_seed


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, name = snakemake.input, snakemake.wildcards.target
        _, window = open_window(inputs.window, inputs.rows, config)
        encoder = Encoder.open(Path(inputs.tokenizer), config)
        scores = read_scores([Path(inputs.scores)], config)
        owners = read_looks([Path(p) for p in inputs.features], config).owners
        seed = stable_seed(config["seed"], "motifs", name)
        rows, top = mined_rows(scores, window.rows.width, seed)
        masses = np.maximum(scores[rows], 0.0).astype(np.float64)
        sample = Sample(window.take(rows), owners[rows], masses, top)
        texts = encoder.decode_many(list(np.arange(encoder.vocabulary)[:, None]))
        motifs = find_motifs(sample, texts, seed)
        names = np.array(window.rows.domain_names, object)
        named = Named(
            rows=rows + window.first,
            steps=window.step_of(rows),
            domains=names[window.domains()[rows]].tolist(),
            kinds=token_kinds(texts),
            texts=texts,
            decode=lambda tokens: encoder.decode_many([np.array(tokens)])[0],
        )
        target = read_target(Path(inputs.target), config)
        found = motif_file(motifs, sample, named, target=name, unit=target.unit)
        write_motifs(Path(snakemake.output[0]), found)


main(snakemake)  # noqa: F821
