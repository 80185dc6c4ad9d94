"""A data set of the `datasets` library, with a column of text or of token ids."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.base import ROWS, Piece, Section, Source
from headwater.net.places import base_name
from headwater.problems import Key, Problem
from headwater.unreadable import stand_in

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class Dataset(Source):
    """`corpus.dataset`; streamed once, from the hub or from local files."""

    key = "dataset"

    def gives_rows(self, section: Section) -> bool:
        """It is token ids if a column of them is named."""
        return "tokens" in section[self.key]

    def files(self, section: Section, base: Path) -> dict[str, Piece]:
        """One file of text for each job that streams a part; or the rows."""
        settings = section[self.key]
        piece = Piece(tuple(settings.get("files", ())), settings)
        if self.gives_rows(section):
            return {ROWS: piece}
        name = _UNFIT.sub("-", _name(settings)).strip("-._")[:100] or "dataset"
        return {f"{name}-{job:04d}": piece for job in range(settings["jobs"])}

    def problems(self, section: Section, where: Key, base: Path) -> list[Problem]:
        """Local files that are missing, or are no data."""
        key: Key = (*where, self.key, "files")
        return [
            Problem((*key, number), f'"{file}": {found}')
            for number, file in enumerate(section[self.key].get("files", ()))
            if (found := stand_in(base / file))
        ]

    def fetch(
        self, target: Path, name: str, origin: Any, needs: RowNeeds | None
    ) -> None:
        """Stream the documents that are one job's, or the rows that are needed."""
        from headwater.corpus import streaming
        from headwater.corpus.fetched import Block, fetch_blocks

        settings = streaming.pinned(origin)
        if needs is None:
            streaming.fetch_text(target, settings, int(name.rsplit("-", 1)[-1]))
            return
        stream, width = streaming.open_stream(settings), needs.width

        def blocks(state: Mapping[str, Any]) -> Iterator[Block]:
            return streaming.token_rows(stream, state, settings, width)

        fetch_blocks(target, _name(settings), [settings], needs, blocks)


SOURCE = Dataset()


def _name(settings: Mapping[str, Any]) -> str:
    return base_name(settings.get("name") or settings["files"][0])
