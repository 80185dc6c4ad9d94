"""Held-out rows and the summary, for sources of token ids."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from headwater import stores
from headwater.corpus import detectors, holdout, rowstore
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowsource import (
    TOKEN_COUNTS,
    RowNeeds,
    RowSource,
    attributes,
    describe,
)
from headwater.corpus.rowstore import Assembly, RowWriter, token_dtype
from headwater.identity import Config
from headwater.publish import Identity, publish_folder

logger = logging.getLogger("headwater")


class TrainingRows:
    """What the shards of a training order say in all.

    Args:
        paths: the shards that `copy_rows` wrote.
    """

    def __init__(self, paths: Sequence[Path], config: Config) -> None:
        groups = [stores.open_group(path, config) for path in paths]
        self.token_counts = np.sum([_counts(group) for group in groups], axis=0)
        domain = [stores.read(group, "domain") for group in groups]
        size = len(detectors.DOMAINS)
        self.domain_rows = np.bincount(np.concatenate(domain), minlength=size)


def _counts(group: zarr.Group) -> np.ndarray:
    return stores.read(group, TOKEN_COUNTS)


def hold_out_after(
    target: Path,
    source: RowSource,
    encoder: Encoder,
    plan: RowNeeds,
    rows_per_domain: int,
    seed: int,
    counts: np.ndarray,
    identity: Identity,
) -> None:
    """Write held-out rows from those right after the training run's last one.

    Args:
        plan: which rows are whose.
        rows_per_domain: most rows of each detected domain.
        counts: tokens of the training rows, int64 [vocabulary].

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    dtype = token_dtype(encoder.vocabulary)
    assembly = Assembly(plan.after, plan.width, dtype)
    place = 0
    for block in describe(source, plan.all[plan.training :], encoder, plan.width):
        assembly.place(np.arange(place, place + len(block.tokens)), block)
        place += len(block.tokens)
    rows = assembly.finish()
    size = len(detectors.DOMAINS)
    chosen = holdout.pick(rows.domain, size, rows_per_domain, seed)
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            **attributes(source, plan),
            first_row=0,
            total_rows=len(chosen),
            end_of_document=encoder.end_of_document,
            special_ids=encoder.special_ids,
        )
        writer = RowWriter(root, plan.width, dtype)
        writer.append(rows.take(chosen))
        writer.close()
        stores.write_array(root, holdout.TOKEN_COUNTS, counts)


def warn_of_ends(counts: np.ndarray, encoder: Encoder) -> None:
    """Say it if no document ends in any row: the tokenizer may be another one."""
    if counts[encoder.end_of_document] == 0:
        logger.warning(
            "token id %d, which ends a document by corpus.tokenizer, occurs in no "
            "training row; check that this tokenizer made the rows",
            encoder.end_of_document,
        )


def summarize(
    training: TrainingRows,
    held_out: Path,
    encoder: Encoder,
    plan: RowNeeds,
    config: Config,
) -> dict[str, Any]:
    """What the corpus holds: rows by domain, of the training run and held out."""
    group = stores.open_group(held_out, config)
    found = rowstore.attributes(group)
    kept = np.bincount(stores.read(group, "domain"), minlength=len(found["domains"]))
    rows = {
        "training": dict(zip(detectors.DOMAINS, training.domain_rows, strict=True)),
        "held_out": dict(zip(found["domains"], kept, strict=True)),
    }
    names = sorted({*rows["training"], *rows["held_out"]})
    return {
        "vocabulary": encoder.vocabulary,
        "seq_len": plan.width - 1,
        "training_rows": plan.training,
        "domains": {
            name: {
                "generated": False,
                "detected": name.endswith(detectors.SUFFIX),
                **{split: _rows(rows[split].get(name, 0), plan) for split in rows},
            }
            for name in names
        },
    }


def _rows(count: int, plan: RowNeeds) -> dict[str, int]:
    return {"tokens": int(count) * plan.width, "rows": int(count)}
