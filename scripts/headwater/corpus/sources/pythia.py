"""Pythia's pre-shuffled token files (Megatron's `.bin` and `.idx`), or one's own."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.corpus.files import place_problems, problem_of
from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.base import ROWS, Piece, Section, Source, row_piece
from headwater.corpus.tokenparts import (
    ITEM_BYTES,
    check_sizes,
    index_name,
    part_order,
    parts_after,
    whole_name,
)
from headwater.errors import HeadwaterError
from headwater.net.places import hub_place, without_secrets
from headwater.problems import Key, Problem
from headwater.steps import bytes_of_rows, past_the_end

if TYPE_CHECKING:
    from headwater.corpus.tokenrows import TokenRows
    from headwater.net.remote import RemoteFile

_SUFFIX = ".bin"
_KEY: Key = ("corpus", "pythia", "path")

# The training files of 14M and 31M (github.com/EleutherAI/pythia, models/) name the
# deduplicated Pile, though their model cards say "standard". The others exist in both
# flavours. Further seeds (-seed<N>) have rows of their own.
_MODEL = re.compile(r"EleutherAI/pythia-([0-9.]+[mb])(-deduped)?")
_ALWAYS_DEDUPED = ("14m", "31m")
_ROWS = "hf://datasets/EleutherAI/pile-{}-pythia-preshuffled"


class Pythia(Source):
    """`corpus.pythia`."""

    key = "pythia"

    def files(self, section: Section, base: Path) -> dict[str, Piece]:
        """Local `.bin` files, or the address to fetch."""
        settings = section[self.key]
        return row_piece([settings["path"]], settings, base, _SUFFIX)

    def problems(self, section: Section, where: Key, base: Path) -> list[Problem]:
        """A file that is missing or of another kind."""
        key: Key = (*where, self.key, "path")
        return place_problems([section[self.key]["path"]], key, base, _SUFFIX)

    def row_problems(self, config: Mapping[str, Any], base: Path) -> list[Problem]:
        """Local files that are too few or not one whole; rows of another model."""
        return [*self._size_problems(config, base), *_flavour_problems(config)]

    def _size_problems(
        self, config: Mapping[str, Any], base: Path
    ) -> Iterator[Problem]:
        from headwater.corpus.sources import needs_of

        corpus, needs = config["corpus"], needs_of(config)
        files = self.files(corpus, base)[ROWS].paths
        if not files or any(problem_of(file, base, _SUFFIX) for file in files):
            return  # as `problems` says
        try:
            ordered = part_order(corpus[self.key]["path"], files)
            sizes = [os.path.getsize(base / file) for file in ordered]
            rows = check_sizes(ordered, sizes, needs.width * ITEM_BYTES)
            if rows < needs.all.stop:
                raise past_the_end(corpus[self.key]["path"], needs.all, rows)
        except HeadwaterError as error:
            yield Problem(_KEY, str(error))

    def open(
        self, paths: Sequence[Path], section: Section, needs: RowNeeds
    ) -> "TokenRows":
        """Local files, checked against their index, or the rows that were fetched."""
        from headwater.corpus.tokenfiles import open_local

        if paths[0].is_dir():
            return super().open(paths, section, needs)
        names = part_order(section[self.key]["path"], [str(path) for path in paths])
        return open_local([Path(name) for name in names], needs.all, needs.width)

    def fetch(
        self, target: Path, name: str, origin: Any, needs: RowNeeds | None
    ) -> None:
        """Only the bytes of the rows."""
        from headwater.corpus.fetched import TOKENS_NAME, identity_of, write_rows_record
        from headwater.corpus.tokenfiles import UINT16
        from headwater.net.fetching import fetch_ranges
        from headwater.publish import publish_folder

        assert needs
        names, index = _remote_parts(origin["path"])
        parts = _wanted(names, needs)
        _check_index(names[0], index, needs.all, needs.width)
        identity = identity_of([(file.identity, part) for file, part in parts], needs)
        whole = whole_name(names[0])
        with publish_folder(target, identity) as folder:
            records = fetch_ranges(folder / TOKENS_NAME, parts, whole)
            write_rows_record(folder, whole, UINT16, needs, records)

    def at_once(self, section: Section, needs: RowNeeds, rows: range) -> "TokenRows":
        """Only the bytes of these rows, in memory."""
        from headwater.corpus.tokenfiles import ReadRows

        names, index = _remote_parts(section[self.key]["path"])
        own = replace(needs, training=rows.stop, after=0)
        parts = _wanted(names, own)
        _check_index(names[0], index, rows, needs.width)
        left = bytes_of_rows(rows, needs.width, ITEM_BYTES)
        pieces, begin = [], 0
        for file, part in parts:
            first, last = (max(0, min(end - begin, len(part))) for end in _ends(left))
            pieces.append(file.read(first, last))
            begin += len(part)
        name = whole_name(names[0])
        return ReadRows(name, rows.start, needs.width, b"".join(pieces))


def _ends(numbers: range) -> tuple[int, int]:
    return numbers.start, numbers.stop


SOURCE = Pythia()


def _flavour_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    repo = config["checkpoints"].get("repo", "")
    model = _MODEL.fullmatch(repo)
    path = config["corpus"]["pythia"]["path"]
    rows = re.match(_ROWS.format("(deduped|standard)"), path)
    if model is None or rows is None:
        return
    own = "deduped" if model[2] or model[1] in _ALWAYS_DEDUPED else "standard"
    if rows[1] != own:
        text = f"{repo} was trained on other rows, those of {_ROWS.format(own)}"
        yield Problem(_KEY, text)


def _remote_parts(place: str) -> tuple[list[str], str | None]:
    """The `.bin` files at a remote place in order, and where their index should be."""
    from headwater.net.remote import list_files

    hub = hub_place(place)
    if hub is None or hub.path.endswith(_SUFFIX):
        names = part_order(place, parts_after(place))
        return names, index_name(names[0])
    found = [
        str(file)
        for file in list_files(hub)
        if "/" not in file.path.removeprefix(hub.path).strip("/")
    ]
    names = part_order(place, found)
    index = index_name(names[0])
    return names, index if index in found else None


def _wanted(names: list[str], needs: RowNeeds) -> list[tuple["RemoteFile", range]]:
    """The files that hold the rows needed, and which of their bytes are wanted."""
    from headwater.net.remote import open_remote

    wanted = bytes_of_rows(needs.all, needs.width, ITEM_BYTES)
    parts: list[tuple[RemoteFile, range]] = []
    begin = 0
    for name in names:
        if begin >= wanted.stop:
            break
        file = open_remote(name)
        parts.append((file, range(0, min(file.size, wanted.stop - begin))))
        begin += file.size
    sizes = [file.size for file, _ in parts]
    rows = check_sizes(names[: len(parts)], sizes, needs.width * ITEM_BYTES)
    if rows < needs.all.stop:
        raise past_the_end(without_secrets(names[0]), needs.all, rows)
    return parts


def _check_index(name: str, place: str | None, rows: range, width: int) -> None:
    from headwater.corpus.tokenfiles import check_index, warn_no_index
    from headwater.net.failures import NotThereError
    from headwater.net.remote import open_remote

    try:
        if place is None:
            raise NotThereError("")
        file = open_remote(place)
    except NotThereError:
        warn_no_index(without_secrets(name), width)
    else:
        check_index(file.place, file.size, file.read, rows, width)
