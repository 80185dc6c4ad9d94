"""The packed stores of all sources under one numbering of rows, sources and domains."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from headwater import stores
from headwater.corpus import rowstore
from headwater.corpus.domains import generated, planted
from headwater.corpus.rowstore import RowBlock
from headwater.errors import HeadwaterError
from headwater.identity import Config


class Collection:
    """All packed rows of one split, numbered source after source.

    Args:
        paths: packed stores, in the order of the sources.
        split: "train" or "held_out".

    Attributes:
        sources: names of the sources, those of generated rows last.
        domains: names of the domains, sorted; that of generated rows, if any, last.
        starts: number of each source's first row, and the end, int64 [sources + 1].

    Raises:
        HeadwaterError: a store is missing or made under another config; a source or
            domain of the corpus has the name of the generated one.
    """

    def __init__(self, paths: Sequence[Path], config: Config, split: str) -> None:
        self._roots = [stores.open_group(path, config) for path in paths]
        self._groups = [_group(root, split) for root in self._roots]
        sizes = [rowstore.stored_rows(group) for group in self._groups]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        made, own = [*generated(config)], planted(config)
        names = [found["sources"][0] for found in self.attributes]
        natural = {name for found in self.attributes for name in found["domains"]}
        for kind, taken in (
            ("source", {*names}.intersection(made)),
            ("domain", natural & {own}),
        ):
            for name in sorted(map(str, taken)):
                raise HeadwaterError(
                    f"corpus.shards: a {kind} of the corpus is called {name!r}, "
                    "which is the name of the generated rows; rename it, or set "
                    "corpus.records.fraction to 0"
                )
        self.sources: list[str] = names + made
        self.domains: list[str] = sorted(natural) + ([own] if own else [])

    def __len__(self) -> int:
        """Packed rows of all sources."""
        return int(self.starts[-1])

    @property
    def names(self) -> dict[str, list[str]]:
        """What stores of these rows say about them."""
        return {"sources": self.sources, "domains": self.domains}

    @cached_property
    def attributes(self) -> list[dict[str, Any]]:
        """What each packed store says about itself."""
        return [dict(root.attrs) for root in self._roots]

    @cached_property
    def token_counts(self) -> np.ndarray:
        """Tokens of the training documents of all sources, int64 [vocabulary]."""
        counts = [stores.read(root, rowstore.TOKEN_COUNTS) for root in self._roots]
        return np.sum(counts, axis=0)

    @cached_property
    def domain(self) -> np.ndarray:
        """Domain of every packed row, uint8 [rows]."""
        parts = [
            self._domain_map(index)[stores.read(group, "domain")]
            for index, group in enumerate(self._groups)
        ]
        return np.concatenate(parts).astype(np.uint8)

    def gather(self, rows: np.ndarray) -> RowBlock:
        """The packed rows with these numbers (int64 [k], at least one, any order).

        Each stored block that holds some of them is read once. Sources and domains are
        renumbered as this collection has them.
        """
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], self.starts)
        found = [
            self._relabel(index, block)
            for index, group in enumerate(self._groups)
            for block in rowstore.take_stored(
                group,
                rows[order[bounds[index] : bounds[index + 1]]] - self.starts[index],
            )
        ]
        return RowBlock.join(found).take(np.argsort(order))

    def _relabel(self, index: int, block: RowBlock) -> RowBlock:
        names = self._domain_map(index)
        spans = block.spans.copy()
        spans[:, rowstore.SOURCE] = index
        spans[:, rowstore.DOMAIN] = names[spans[:, rowstore.DOMAIN]]
        domain = names[block.domain].astype(np.uint8)
        return RowBlock(block.tokens, domain, block.span_counts, spans)

    def _domain_map(self, index: int) -> np.ndarray:
        names = self.attributes[index]["domains"]
        return np.array([self.domains.index(name) for name in names], np.int64)


def _group(root: zarr.Group, split: str) -> zarr.Group:
    group = root[split]
    assert isinstance(group, zarr.Group)
    return group
