"""One source: its documents to rows, held-out documents apart.

What is left at the end of a source, less than a row, is dropped and counted.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zarr

from headwater import stores
from headwater.corpus.documents import Document, DocumentReader, Tally
from headwater.corpus.encoding import Encoder
from headwater.corpus.packer import Packer
from headwater.corpus.rowstore import TOKEN_COUNTS, RowWriter, token_dtype
from headwater.corpus.titles import TitleWriter
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed

logger = logging.getLogger("headwater")

SPLITS = ("train", "held_out")
_MOST_DOMAINS = 255  # a row's domain is one byte, and one is left for "records"


def pack_source(
    target: Path,
    source: str,
    path: Path,
    encoder: Encoder,
    config: Config,
    identity: Identity,
    all_held_out: bool = False,
) -> None:
    """Write the packed store of one source.

    It holds groups `train` and `held_out`, `token_counts` of the training documents,
    int64 [vocabulary], and the documents' titles (`titles`).

    Raises:
        HeadwaterError: a bad file (see `documents`), or too many domains.
    """
    with publish_folder(target, identity) as part:
        root = stores.create_group(part, identity, sources=[source])
        width = config["corpus"]["seq_len"] + 1
        apart = config["corpus"]["packing"] == "document"
        train, held_out = (_Split(root, name, encoder, width, apart) for name in SPLITS)
        reader = DocumentReader(path, config["corpus"]["on_bad_line"])
        domains: dict[str, int] = {}
        titles = TitleWriter()
        for document in _with_progress(reader, source):
            domain = domains.setdefault(document.domain, len(domains))
            _check_domains(len(domains), path, document.line)
            titles.add(document.line, document.title)
            kept_apart = all_held_out or is_held_out(source, document.line, config)
            (held_out if kept_apart else train).add(document, domain)
        root.attrs.update(
            domains=list(domains),
            seq_len=width - 1,
            lines={**vars(reader.tally), "skipped": dict(reader.tally.skipped)},
            dropped_tokens={"train": train.finish(), "held_out": held_out.finish()},
            counts={
                "train": train.counts(list(domains)),
                "held_out": held_out.counts(list(domains)),
            },
        )
        stores.write_array(root, TOKEN_COUNTS, train.packer.token_counts)
        titles.write(root)
    _report(source, reader.tally)


class _Split:
    """The training half or the held-out half of a source."""

    def __init__(
        self, root: zarr.Group, name: str, encoder: Encoder, width: int, apart: bool
    ) -> None:
        dtype = token_dtype(encoder.vocabulary)
        writer = RowWriter(root.create_group(name), width, dtype)
        self.packer = Packer(encoder, width, writer, apart)
        self._documents: Counter[int] = Counter()
        self._characters: Counter[int] = Counter()

    def add(self, document: Document, domain: int) -> None:
        self._documents[domain] += 1
        self._characters[domain] += len(document.text)
        self.packer.add(document, domain)

    def finish(self) -> int:
        return self.packer.finish()

    def counts(self, domains: list[str]) -> dict[str, dict[str, int]]:
        """What each domain holds; a row counts for the domain of most of its tokens."""
        return {
            name: {
                "documents": self._documents[index],
                "characters": self._characters[index],
                "tokens": self.packer.domain_tokens[index],
                "rows": self.packer.domain_rows[index],
            }
            for index, name in enumerate(domains)
        }


def _check_domains(count: int, path: Path, line: int) -> None:
    if count > _MOST_DOMAINS:
        raise HeadwaterError(
            f"{path}: line {line}: more than {_MOST_DOMAINS} domains; merge some of "
            "the names in meta.pile_set_name"
        )


def is_held_out(source: str, line: int, config: Config) -> bool:
    """Whether a document is kept from training: by hash, whatever stands around it."""
    number = stable_seed(config["seed"], "corpus", "held_out", source, line)
    return bool(number / 2**63 < config["corpus"]["held_out"]["fraction"])


def _report(source: str, tally: Tally) -> None:
    for reason, count in sorted(tally.skipped.items()):
        logger.warning("%s: %d lines skipped: %s", source, count, reason)
    if not tally.documents:
        logger.warning("%s: no documents in it", source)
    if tally.empty_documents:
        logger.warning("%s: %d empty documents", source, tally.empty_documents)
    if tally.lone_surrogates:
        text = "%s: %d lone surrogates replaced by U+FFFD"
        logger.warning(text, source, tally.lone_surrogates)


def _with_progress(reader: DocumentReader, source: str) -> Iterator[Document]:
    size = reader.path.stat().st_size
    progress = Progress(f"tokenising {source}", size, "compressed bytes")
    for document in reader:
        yield document
        if reader.bytes_read > progress.done:
            progress.update(reader.bytes_read - progress.done)
