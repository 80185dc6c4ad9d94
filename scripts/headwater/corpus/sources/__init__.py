"""What the corpus can be made of: one file of this folder for each kind of source.

A kind of source is a file whose `SOURCE` is a `base.Source`, and a branch of `corpus`
in the schema of the config. Read while rules are parsed, so each file imports what is
slow to import where it is used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater import members
from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.base import ROWS, Piece, Section, Source
from headwater.steps import training_rows

HELD_OUT_ROWS = 1024
SOURCES: list[Source] = [
    members.load(__name__, name).SOURCE for name in members.names(__file__, {"base"})
]


def find(section: Section) -> Source | None:
    """The source that a section of the config names, if it names one."""
    return next((source for source in SOURCES if source.key in section), None)


def source_of(corpus: Section) -> Source:
    """The source of a corpus that has been checked."""
    (source,) = (source for source in SOURCES if source.key in corpus)
    return source


def unused_modules(corpus: Section) -> tuple[str, ...]:
    """The modules of the kinds of source that a corpus does not name."""
    text = corpus["held_out"]
    used = [s for s in SOURCES if s.key in corpus or s.key in text]
    return tuple(type(s).__module__ for s in SOURCES if s not in used)


def gives_rows(corpus: Section) -> bool:
    """Whether the source gives token ids, rows in training order, and not text."""
    return source_of(corpus).gives_rows(corpus)


def text_section(corpus: Section) -> Section:
    """The section that names text: beside token ids, some may be held out."""
    return corpus["held_out"] if gives_rows(corpus) else corpus


def texts(corpus: Section, base: Path) -> dict[str, Piece]:
    """The files of text by name, each a source of documents."""
    section = text_section(corpus)
    source = find(section)
    return source.files(section, base) if source else {}


def rows(corpus: Section, base: Path) -> Piece | None:
    """The rows of token ids; None for a source of text."""
    if not gives_rows(corpus):
        return None
    return source_of(corpus).files(corpus, base)[ROWS]


def needs_of(config: Mapping[str, Any], vocabulary: int = 0) -> RowNeeds:
    """The rows that a config with a source of token ids needs."""
    held_out = config["corpus"]["held_out"]
    return RowNeeds(
        width=config["corpus"]["seq_len"] + 1,
        training=training_rows(config),
        after=0 if find(held_out) else held_out.get("rows", HELD_OUT_ROWS),
        batch_size=config["training"]["batch_size"],
        vocabulary=vocabulary,
    )
