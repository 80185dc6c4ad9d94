"""What every row of a shard looks like: text, repetition, rarity; and its document."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.catalysts.features import measure
from headwater.catalysts.files import DOCUMENT
from headwater.corpus.encoding import Encoder
from headwater.corpus.holdout import token_counts
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.measures import batches
from headwater.progress import Progress
from headwater.shares import share_of


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, shard = snakemake.input, snakemake.wildcards.shard
        _, window = open_window(inputs.window, inputs.rows, config)
        encoder = Encoder.open(Path(inputs.tokenizer), config)
        counts = token_counts(Path(inputs.held_out), config)
        part = share_of(len(window), config["gradients"]["shards"], int(shard))
        progress = Progress(f"features {shard}", len(part), "rows")
        found = []
        for piece in batches(len(part), window.rows.width):
            tokens = window.tokens(part[piece])
            written = ~np.isin(tokens, encoder.special_ids)
            kept = zip(tokens, written, strict=True)
            texts = encoder.decode_many([row[own] for row, own in kept])
            found.append(measure(tokens, texts, counts))
            progress.update(len(tokens))
        facts = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
        first = window.first
        documents = window.rows.documents(first + part.start, first + part.stop)
        facts |= dict(zip(DOCUMENT, documents.T, strict=True))
        stamp = identity("window", config, shard=shard, shards=snakemake.params.shards)
        write_facts(Path(snakemake.output[0]), facts, stamp)


main(snakemake)  # noqa: F821
