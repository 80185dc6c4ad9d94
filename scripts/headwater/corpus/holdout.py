"""Held-out rows for evaluation, token counts, and the summary of the whole corpus."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headwater import stores
from headwater.corpus import detectors
from headwater.corpus.collection import Collection
from headwater.corpus.domains import RECORDS, planted
from headwater.corpus.encoding import Encoder
from headwater.corpus.needs import RowNeeds
from headwater.corpus.ordering import PackedOrder
from headwater.corpus.rowstore import (
    TOKEN_COUNTS,
    RowBlock,
    RowWriter,
    token_dtype,
)
from headwater.corpus.tokenrows import SourceOrder
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed

logger = logging.getLogger("headwater")


def hold_out(
    target: Path,
    kept: Sequence[RowBlock],
    attributes: Mapping[str, Any],
    encoder: Encoder,
    counts: np.ndarray,
    identity: Identity,
) -> None:
    """Write the held-out rows and the token counts.

    Args:
        kept: the rows, from `text_rows` or `rows_after`.
        attributes: what their sources and domains are called.
        counts: tokens of the natural training rows or documents, int64 [vocabulary].
    """
    width = kept[0].tokens.shape[1]
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            **attributes,
            seq_len=width - 1,
            first_row=0,
            total_rows=sum(len(block.tokens) for block in kept),
            end_of_document=encoder.end_of_document,
            special_ids=encoder.special_ids,
        )
        writer = RowWriter(root, width, token_dtype(encoder.vocabulary))
        for block in kept:
            writer.append(block)
        writer.close()
        stores.write_array(root, TOKEN_COUNTS, counts)


def text_rows(held_out: Collection, encoder: Encoder, config: Config) -> list[RowBlock]:
    """Rows of held-out text, domain after domain, and records after those trained on.

    Raises:
        HeadwaterError: no row of natural text was held out.
    """
    chosen = pick(held_out.domain, len(held_out.domains), config)
    if not len(chosen):
        raise HeadwaterError(
            "corpus.held_out.fraction: no row of natural text was held out; raise it, "
            "or add documents"
        )
    found = set(held_out.domain[chosen].tolist())
    for index, name in enumerate(held_out.domains):
        if index not in found and name != planted(config):
            logger.warning("no row of domain %s is held out: no loss is known", name)
    kept = [held_out.gather(chosen)]
    order = PackedOrder(held_out, encoder, config)
    if RECORDS in order.made and planted(config):
        most = config["corpus"]["held_out"]["rows_per_domain"]
        kept.append(order.generate(order.made[RECORDS], most))
    return kept


def rows_after(order: SourceOrder, needs: RowNeeds, config: Config) -> list[RowBlock]:
    """Rows from those right after the training run's last one.

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    rows = RowBlock.join(list(order.blocks(needs.all[needs.training :])))
    return [rows.take(pick(rows.domain, len(detectors.DOMAINS), config))]


def pick(domain: np.ndarray, domains: int, config: Config) -> np.ndarray:
    """A few random rows of each domain, by domain and then by number.

    Args:
        domain: of every row, uint8 [rows].
        domains: how many there are.

    Returns:
        int64 [rows picked].
    """
    most = config["corpus"]["held_out"]["rows_per_domain"]
    seed = stable_seed(config["seed"], "corpus", "held_out_rows")
    random = np.random.Generator(np.random.PCG64(seed))
    parts = []
    for index in range(domains):
        rows = np.flatnonzero(domain == index)
        parts.append(np.sort(random.permutation(rows)[:most]))
    return np.concatenate(parts)


def token_counts(path: Path, config: Config) -> np.ndarray:
    """Tokens of the natural training documents by id, int64 [vocabulary].

    Raises:
        HeadwaterError: missing, or made under another config.
    """
    return stores.read(stores.open_group(path, config), TOKEN_COUNTS)


def summarize(
    training: Mapping[str, int],
    held_out: Path,
    packed: Sequence[dict[str, Any]],
    vocabulary: int,
    config: Config,
) -> dict[str, Any]:
    """What the corpus holds: rows by domain, and of text what they were made from.

    `rows` are those used (in the training order, or kept for evaluation); `rows_packed`
    are all there are.

    Args:
        training: rows of each domain in the training run.
        held_out: the store of held-out rows.
        packed: what each packed store of training text says; [] for token ids.
    """
    group = stores.open_group(held_out, config)
    names: Any = group.attrs["domains"]
    kept = np.bincount(stores.read(group, "domain"), minlength=len(names)).tolist()
    used = {"training": training, "held_out": dict(zip(names, kept, strict=True))}
    made = planted(config)
    everywhere = sorted({*training, *names}, key=lambda name: (name == made, name))
    width = config["corpus"]["seq_len"] + 1
    sources = {found["sources"][0]: _source_summary(found) for found in packed}
    return {
        "vocabulary": vocabulary,
        "seq_len": width - 1,
        "training_rows": sum(training.values()),
        **({"sources": sources} if packed else {}),
        "domains": {
            name: _domain_summary(name, name == made, used, packed, width)
            for name in everywhere
        },
    }


def _domain_summary(
    name: str,
    made: bool,
    used: Mapping[str, Mapping[str, int]],
    packed: Sequence[dict[str, Any]],
    width: int,
) -> dict[str, Any]:
    summary: dict[str, Any] = {"generated": made}
    if not packed:
        summary["detected"] = name.endswith(detectors.SUFFIX)
    for split, group in (("training", "train"), ("held_out", "held_out")):
        rows = used[split].get(name, 0)
        if packed and not made:
            counts = [found["counts"][group].get(name, {}) for found in packed]
            summary[split] = {**_text_summary(counts), "rows": rows}
        else:
            summary[split] = {"tokens": rows * width, "rows": rows}
    return summary


def _text_summary(counts: list[dict[str, int]]) -> dict[str, int]:
    names = {key: key for key in ("documents", "characters", "tokens")}
    names["rows"] = "rows_packed"
    return {
        name: sum(count.get(key, 0) for count in counts) for key, name in names.items()
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
