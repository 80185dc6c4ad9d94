"""Which rows training saw at a step: from an experiment's stores, or from the source.

Row stores know all of it. Where there are none yet, rows of a source of token ids can
be read all the same: of a published run only the bytes of the steps are fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headwater.corpus.encoding import Encoder
from headwater.corpus.files import row_shards
from headwater.corpus.rows import Rows, Span
from headwater.corpus.sources import gives_rows, needs_of, rows, source_of
from headwater.corpus.tokenrows import SourceOrder
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.steps import rows_of_steps, step_of_row, training_rows


@dataclass(frozen=True)
class SeenRow:
    """A row of a training.

    Attributes:
        step: that read it, from 0.
        row: its number in training order, from 0.
        domain: of most of its tokens.
        tokens: ids, int64 [seq_len + 1].
        spans: the documents it was made from.
    """

    step: int
    row: int
    domain: str
    tokens: np.ndarray
    spans: list[Span]


def rows_of(steps: range, config: Config) -> range:
    """The rows that training read at these steps.

    Raises:
        HeadwaterError: the config's training is shorter.
    """
    wanted = range(*(rows_of_steps(config, end) for end in (steps.start, steps.stop)))
    if wanted.stop > training_rows(config):
        raise HeadwaterError(
            f"steps {steps.start:,} to {steps.stop - 1:,} are wanted, but the training "
            f"of the config ends before step {config['training']['steps']:,} "
            "(training.steps)"
        )
    return wanted


def seen_rows(
    steps: range, corpus: Path, encoder: Encoder, config: Config
) -> Iterator[SeenRow]:
    """The rows of some steps, in the order of training.

    Args:
        corpus: folder of the experiment's row stores.

    Raises:
        HeadwaterError: there are no stores, and the source is text or not reachable.
    """
    wanted = rows_of(steps, config)
    shards = row_shards(corpus, config)
    if all(shard.exists() for shard in shards):
        yield from _stored(wanted, Rows(shards, config), config)
    elif gives_rows(config["corpus"]):
        yield from _of_source(wanted, corpus, encoder, config)
    else:
        raise HeadwaterError(
            f"{shards[0]}: not there, and which rows a step reads is known only when "
            "text has been packed; run `snakemake corpus` first"
        )


def _stored(wanted: range, stored: Rows, config: Config) -> Iterator[SeenRow]:
    size = config["training"]["batch_size"]
    domains = stored.domains(wanted.start, wanted.stop)
    for row, domain in zip(wanted, domains.tolist(), strict=True):
        tokens = stored.tokens(row, row + 1)[0]
        name, step = stored.domain_names[domain], step_of_row(row, size)
        yield SeenRow(step, row, name, tokens, stored.spans(row))


def _of_source(
    wanted: range, corpus: Path, encoder: Encoder, config: Config
) -> Iterator[SeenRow]:
    section, needs = config["corpus"], needs_of(config, encoder.vocabulary)
    piece, source = rows(section, Path()), source_of(section)
    assert piece is not None
    fetched = corpus / "source" / "rows"
    paths = [fetched] if fetched.exists() else [Path(path) for path in piece.paths]
    if paths:
        found = source.open(paths, section, needs)
    else:
        found = source.at_once(section, needs, wanted)
    order = SourceOrder(found, encoder, needs)
    domains, sources = order.attributes["domains"], order.attributes["sources"]
    row, size = wanted.start, config["training"]["batch_size"]
    for block in order.blocks(wanted):
        ends = np.cumsum(block.span_counts)
        for number, tokens in enumerate(block.tokens):
            own = block.spans[ends[number] - block.span_counts[number] : ends[number]]
            spans = [
                Span(sources[s], line, start, stop, token, domains[domain], True)
                for s, line, start, stop, token, domain in own.tolist()
            ]
            name = domains[int(block.domain[number])]
            ids = tokens.astype(np.int64)
            yield SeenRow(step_of_row(row, size), row, name, ids, spans)
            row += 1
