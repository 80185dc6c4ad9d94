"""Held-out rows for evaluation, token counts, and the summary of the whole corpus."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headwater import stores
from headwater.corpus import records
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.corpus.ordering import (
    RECORD,
    OrderSettings,
    generate_rows,
    training_order,
)
from headwater.corpus.rowstore import Assembly, RowWriter, token_dtype
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed

logger = logging.getLogger("headwater")

TOKEN_COUNTS = "token_counts"


@dataclass(frozen=True)
class HoldOutSettings:
    """What the held-out rows depend on, besides the packed rows.

    Attributes:
        rows_per_domain: most rows of each domain.
        order: of the training run; held-out records come after its records.
    """

    rows_per_domain: int
    order: OrderSettings


def hold_out(
    target: Path,
    held_out: Collection,
    encoder: Encoder,
    settings: HoldOutSettings,
    identity: Identity,
    counts: np.ndarray,
) -> None:
    """Write the held-out rows, domain after domain, and the token counts.

    Args:
        settings: what the rows depend on.
        counts: tokens of the natural training rows or documents, int64 [vocabulary].

    Raises:
        HeadwaterError: no row of natural text was held out.
    """
    order = settings.order
    chosen = choose(held_out, settings)
    generated = settings.rows_per_domain if order.records else 0
    _warn_of_missing(held_out, chosen)
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            sources=held_out.sources,
            domains=held_out.domains,
            seq_len=order.seq_len,
            first_row=0,
            total_rows=len(chosen) + generated,
            end_of_document=encoder.end_of_document,
            special_ids=encoder.special_ids,
        )
        dtype = token_dtype(encoder.vocabulary)
        assembly = Assembly(len(chosen), order.seq_len + 1, dtype)
        held_out.gather(chosen, assembly, np.arange(len(chosen)))
        writer = RowWriter(root, order.seq_len + 1, dtype)
        writer.append(assembly.finish())
        if generated:
            rows = generate_rows(order.records, generated, held_out, encoder, order)
            writer.append(rows)
        writer.close()
        stores.write_array(root, TOKEN_COUNTS, counts)


def choose(held_out: Collection, settings: HoldOutSettings) -> np.ndarray:
    """Packed held-out rows for evaluation: by domain, then in document order.

    Returns:
        int64 [rows], at most `rows_per_domain` of each domain, at least one in all.

    Raises:
        HeadwaterError: there are none.
    """
    chosen = pick(
        held_out.domain,
        len(held_out.domains),
        settings.rows_per_domain,
        settings.order.seed,
    )
    if not len(chosen):
        raise HeadwaterError(
            "corpus.held_out.fraction: no row of natural text was held out; raise it, "
            "or add documents"
        )
    return chosen


def pick(domain: np.ndarray, domains: int, most: int, seed: int) -> np.ndarray:
    """At most `most` random rows of each domain, by domain and then by number.

    Args:
        domain: of every row, uint8 [rows].
        domains: how many there are.
        most: rows of each.

    Returns:
        int64 [rows picked].
    """
    seed = stable_seed(seed, "corpus", "held_out_rows")
    random = np.random.Generator(np.random.PCG64(seed))
    parts = []
    for index in range(domains):
        rows = np.flatnonzero(domain == index)
        parts.append(np.sort(random.permutation(rows)[:most]))
    return np.concatenate(parts)


def _warn_of_missing(held_out: Collection, chosen: np.ndarray) -> None:
    found = set(held_out.domain[chosen].tolist())
    for index, name in enumerate(held_out.domains):
        if index not in found and name != records.DOMAIN:
            logger.warning("no row of domain %s is held out: no loss is known", name)


def token_counts(path: Path, config: Config) -> np.ndarray:
    """Tokens of the natural training documents by id, int64 [vocabulary].

    Args:
        path: `held_out.zarr`.

    Raises:
        HeadwaterError: missing, or made under another config.
    """
    return stores.read(stores.open_group(path, config), TOKEN_COUNTS)


def summarize(
    train: Collection, held_out: Collection, encoder: Encoder, settings: HoldOutSettings
) -> dict[str, Any]:
    """What the corpus holds: lines by source, and text and rows by domain.

    `rows` are those used (in the training order, or kept for evaluation); `rows_packed`
    are all there are.
    """
    order = settings.order
    width = order.seq_len + 1
    plan = training_order(len(train), order)
    used = {
        "training": np.bincount(train.domain[plan[plan != RECORD]], minlength=256),
        "held_out": np.bincount(
            held_out.domain[choose(held_out, settings)], minlength=256
        ),
    }
    generated = {
        "training": order.records,
        "held_out": settings.rows_per_domain if order.records else 0,
    }
    stored = train.attributes
    return {
        "vocabulary": encoder.vocabulary,
        "seq_len": order.seq_len,
        "training_rows": order.rows,
        "sources": {a["sources"][0]: _source_summary(a) for a in stored},
        "domains": {
            name: _domain_summary(name, index, stored, used, generated, width)
            for index, name in enumerate(train.domains)
        },
    }


def _source_summary(attributes: dict[str, Any]) -> dict[str, Any]:
    lines = attributes["lines"]
    return {
        "documents": lines["documents"],
        "empty_documents": lines["empty_documents"],
        "lone_surrogates_replaced": lines["lone_surrogates"],
        "skipped_lines": lines["skipped"],
        "tokens_dropped_at_the_end": attributes["dropped_tokens"],
    }


def _domain_summary(
    name: str,
    index: int,
    stored: Sequence[dict[str, Any]],
    used: dict[str, np.ndarray],
    generated: dict[str, int],
    width: int,
) -> dict[str, Any]:
    if name == records.DOMAIN:
        rows = {
            split: {"tokens": count * width, "rows": count}
            for split, count in generated.items()
        }
        return {"generated": True, **rows}
    return {
        "generated": False,
        "training": _counts(name, "train", stored, int(used["training"][index])),
        "held_out": _counts(name, "held_out", stored, int(used["held_out"][index])),
    }


def _counts(
    name: str, split: str, stored: Sequence[dict[str, Any]], rows: int
) -> dict[str, int]:
    counts = [attributes["counts"][split].get(name, {}) for attributes in stored]
    total = {
        key: sum(count.get(key, 0) for count in counts)
        for key in ("documents", "characters", "tokens", "rows")
    }
    total["rows_packed"] = total.pop("rows")
    return {**total, "rows": rows}
