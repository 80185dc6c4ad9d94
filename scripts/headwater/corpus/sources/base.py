"""What every kind of source must say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headwater.corpus.files import listed
from headwater.corpus.needs import RowNeeds
from headwater.errors import HeadwaterError
from headwater.net.places import is_remote
from headwater.problems import Key, Problem

if TYPE_CHECKING:
    from headwater.corpus.tokenrows import TokenRows

Section = Mapping[str, Any]  # of the config, one that names a source

ROWS = "rows"  # the name of the only piece of a source of token ids


@dataclass(frozen=True)
class Piece:
    """A file of text, or all rows of token ids.

    Attributes:
        paths: its files on this machine.
        origin: what it must first be fetched from, as the config has it; None if its
            files are used as they are.
    """

    paths: tuple[str, ...] = ()
    origin: Any = None


def row_piece(
    entries: Sequence[str], origin: Any, base: Path, suffix: str
) -> dict[str, Piece]:
    """The rows of some files and folders of them, or of addresses."""
    if any(map(is_remote, entries)):
        return {ROWS: Piece(origin=origin)}
    return {ROWS: Piece(tuple(file for _, file in listed(entries, base, suffix)))}


class Source(Protocol):
    """A kind of source; a section of the config names it by its key.

    Attributes:
        key: in section `corpus`, or in `corpus.held_out` for a source of text.
    """

    key: str

    def gives_rows(self, section: Section) -> bool:
        """Whether it gives token ids, rows in training order, and not text."""
        return True

    def files(self, section: Section, base: Path) -> dict[str, Piece]:
        """Its files of text by name; or its rows, as one piece called `ROWS`."""
        ...

    def problems(self, section: Section, where: Key, base: Path) -> list[Problem]:
        """What is wrong with the files and addresses of a section at this key."""
        ...

    def row_problems(self, config: Mapping[str, Any], base: Path) -> list[Problem]:
        """Where its rows cannot be those of the experiment."""
        return []

    def fetch(
        self, target: Path, name: str, origin: Any, needs: RowNeeds | None
    ) -> None:
        """Publish a folder with a piece: text as `TEXT_NAME`, or rows (`fetched`).

        Args:
            needs: which rows; None for text.

        Raises:
            HeadwaterError: it cannot be had, or is not what the config says.
        """
        ...

    def open(
        self, paths: Sequence[Path], section: Section, needs: RowNeeds
    ) -> "TokenRows":
        """Rows on this machine: the folder that `fetch` made, or local files in order.

        Raises:
            HeadwaterError: not such files, or too few rows.
        """
        from headwater.corpus.fetched import open_fetched

        return open_fetched(paths[0], needs)

    def at_once(self, section: Section, needs: RowNeeds, rows: range) -> "TokenRows":
        """Some rows from where they were published, without a file on this machine.

        Args:
            needs: all rows of the experiment.

        Raises:
            HeadwaterError: this source cannot, or it cannot be reached.
        """
        raise HeadwaterError(
            f"corpus.{self.key}: its rows are read from this machine only; run "
            "`snakemake prepare` first"
        )
