"""Parquet files of token ids with the number of the training step they belong to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from headwater.corpus.files import place_problems
from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.base import Piece, Section, Source, row_piece
from headwater.errors import HeadwaterError
from headwater.net.places import hub_place, is_remote
from headwater.problems import Key, Problem

if TYPE_CHECKING:
    from headwater.corpus.tokenrows import TokenRows
    from headwater.net.remote import RemoteFile

_SUFFIX = ".parquet"


class Parquet(Source):
    """`corpus.parquet`."""

    key = "parquet"

    def files(self, section: Section, base: Path) -> dict[str, Piece]:
        """Local files, or the addresses and columns to fetch."""
        settings = section[self.key]
        return row_piece(settings["files"], settings, base, _SUFFIX)

    def problems(self, section: Section, where: Key, base: Path) -> list[Problem]:
        """Files that are missing or of another kind, or addresses beside files."""
        key, files = (*where, self.key, "files"), section[self.key]["files"]
        problems = place_problems(files, key, base, _SUFFIX)
        if len({is_remote(file) for file in files}) > 1:
            text = "either local files or addresses, not both; put them in two configs"
            problems.append(Problem(key, text))
        return problems

    def open(
        self, paths: Sequence[Path], section: Section, needs: RowNeeds
    ) -> "TokenRows":
        """Local files, or the rows that were fetched."""
        from headwater.corpus.batches import BatchFiles

        if paths[0].is_dir():
            return super().open(paths, section, needs)
        names = [(str(path), str(path)) for path in paths]
        return BatchFiles(names, needs, section[self.key])

    def fetch(
        self, target: Path, name: str, origin: Any, needs: RowNeeds | None
    ) -> None:
        """Of each file only the row groups of the run's steps."""
        from headwater.corpus.batches import BatchFiles
        from headwater.corpus.fetched import Block, fetch_blocks
        from headwater.net.remote import RemoteReader, open_remote

        assert needs
        used: list[RemoteFile] = []

        def files() -> Iterator[tuple[str, BinaryIO]]:
            for place in _places(origin["files"]):
                used.append(open_remote(place))
                yield used[-1].place, cast(BinaryIO, RemoteReader(used[-1]))

        rows = BatchFiles(files(), needs, origin)
        columns = {key: origin[key] for key in ("tokens", "batch")}

        def blocks(state: Mapping[str, Any]) -> Iterator[Block]:
            first, stop = state.get("rows", 0), needs.all.stop
            for block in rows.blocks(first, stop, needs.batch_size):
                yield block, {}

        parts = [file.identity for file in used]
        fetch_blocks(target, rows.name, parts, needs, blocks, columns)


SOURCE = Parquet()


def _places(entries: Iterable[str]) -> Iterator[str]:
    from headwater.net.remote import list_files

    for place in entries:
        hub = hub_place(place)
        if hub is None or hub.path.endswith(_SUFFIX):
            yield place
            continue
        found = [str(file) for file in list_files(hub) if file.path.endswith(_SUFFIX)]
        if not found:
            raise HeadwaterError(f"{place}: no {_SUFFIX} file there")
        yield from found
