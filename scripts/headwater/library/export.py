"""Rows of a run as files that other programs train on or look at.

jsonl      a line a row, see `records`
hf         a folder for `datasets.load_from_disk`, with the same columns
megatron   `<name>.bin` and `.idx`, and `<name>.tsv`: which row each sequence is
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from headwater.corpus import tokenwriter
from headwater.corpus.rowstore import RowBlock
from headwater.errors import HeadwaterError
from headwater.library.results import Results
from headwater.library.selection import Selection
from headwater.progress import Progress
from headwater.publish import publish_file, publish_folder
from headwater.tables import write_table

_BLOCK = 4096  # rows that are read at once

Writer = Callable[[Results, Selection, Path, Progress], None]


def export(
    run: Results, selection: Selection, form: str, output: Path, overwrite: bool = False
) -> list[Path]:
    """Write rows; returns the files or folder.

    Args:
        form: one of `FORMATS`.
        output: the file; of `hf` the folder.
        overwrite: what is there.

    Raises:
        HeadwaterError: something is there, or it cannot be written; then nothing is.
    """
    writer, files = FORMATS[form]
    made = files(output)
    for path in made:
        _check_free(path, overwrite, folder=form == "hf")
    progress = Progress("export", len(selection.rows), "rows", every=2.0)
    try:
        writer(run, selection, output, progress)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise HeadwaterError(f"{output}: cannot write ({reason})") from error
    return made


def records(
    run: Results, selection: Selection, progress: Progress
) -> Iterator[dict[str, Any]]:
    """The rows, one by one, as JSON has them.

    Yields:
        `row`, its number; the `step` that trains on it; `domain`; `score` and `loss`,
        null outside the window or without scores; `text`; `input_ids`; `documents`, of
        each its source, line, characters, domain and first token.
    """
    known = _scores(run, selection)
    size, names = run.config["training"]["batch_size"], run.reader.rows.domain_names
    for numbers, block in _blocks(run, selection, progress):
        texts = run.reader.encoder.decode_many(list(block.tokens))
        ends = np.cumsum(block.span_counts)
        spans = np.split(block.spans, ends[:-1])
        for place, row in enumerate(numbers.tolist()):
            score, loss = known.get(row, (None, None))
            yield {
                "row": row,
                "step": row // size,
                "domain": names[block.domain[place]],
                "score": score,
                "loss": loss,
                "text": texts[place],
                "input_ids": block.tokens[place].tolist(),
                "documents": [_document(run, span) for span in spans[place].tolist()],
            }


def _document(run: Results, span: list[int]) -> dict[str, Any]:
    source, line, start, stop, token, domain = span  # as `rowstore` has the columns
    return {
        "source": run.reader.rows.sources[source],
        "line": line,
        "start": start,
        "stop": stop,
        "domain": run.reader.rows.domain_names[domain],
        "token": token,
    }


def _blocks(
    run: Results, selection: Selection, progress: Progress
) -> Iterator[tuple[np.ndarray, RowBlock]]:
    """Row numbers [n] and their rows, block by block."""
    for first in range(0, len(selection.rows), _BLOCK):
        numbers = selection.rows[first : first + _BLOCK]
        yield numbers, run.reader.take(numbers)
        progress.update(len(numbers))


def _scores(
    run: Results, selection: Selection
) -> dict[int, tuple[float | None, float | None]]:
    """Score and loss of the window's rows, by number."""
    if selection.target is None:
        return {}
    table = run.scores(selection.target)
    columns = (table[name].astype(float).tolist() for name in ("score", "loss"))
    pairs = ((_number(s), _number(n)) for s, n in zip(*columns, strict=True))
    return dict(zip(table["row"].tolist(), pairs, strict=True))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None  # JSON has no other


def _jsonl(
    run: Results, selection: Selection, output: Path, progress: Progress
) -> None:
    with publish_file(output) as part, part.open("w", encoding="ascii") as file:
        for record in records(run, selection, progress):
            file.write(json.dumps(record) + "\n")


def _hf(run: Results, selection: Selection, output: Path, progress: Progress) -> None:
    from datasets import Dataset, disable_progress_bars, enable_progress_bars

    lines = list(records(run, selection, progress))
    identity = {"rows": len(lines), "told": selection.told}
    table = _arrow(lines, run.reader.rows.width)
    disable_progress_bars()
    try:
        with publish_folder(output, identity) as part:
            # By default its name would be of the time.
            Dataset(table, fingerprint=_digest(table)).save_to_disk(str(part))
    finally:
        enable_progress_bars()


def _arrow(lines: list[dict[str, Any]], width: int) -> Any:
    import pyarrow as pa
    from datasets.table import InMemoryTable

    document = {"source": pa.string(), "line": pa.int64(), "start": pa.int64()}
    document |= {"stop": pa.int64(), "domain": pa.string(), "token": pa.int64()}
    columns = {
        "row": pa.int64(),
        "step": pa.int64(),
        "domain": pa.string(),
        "score": pa.float64(),
        "loss": pa.float64(),
        "text": pa.string(),
        "input_ids": pa.list_(pa.int64()),
        "documents": pa.list_(pa.struct(list(document.items()))),
    }
    return InMemoryTable(pa.Table.from_pylist(lines, pa.schema(list(columns.items()))))


def _digest(table: Any) -> str:
    import xxhash

    digest = xxhash.xxh3_128()
    for batch in table.to_batches():
        digest.update(batch.serialize())
    return str(digest.hexdigest())


def _megatron(
    run: Results, selection: Selection, output: Path, progress: Progress
) -> None:
    tokens, index, lines = _megatron_files(output)
    kind = tokenwriter.token_kind(run.reader.encoder.vocabulary)
    with ExitStack() as stack:
        # Tokens last: where they stand, what tells of them stands too.
        into = stack.enter_context(publish_file(tokens))
        about = stack.enter_context(publish_file(index))
        blocks = (block.tokens for _, block in _blocks(run, selection, progress))
        count = tokenwriter.write_bin(into, blocks, kind)
        tokenwriter.write_index(about, count, run.reader.rows.width, kind)
        write_table(lines, _lines(run, selection))


def _lines(run: Results, selection: Selection) -> Any:
    """Which row each sequence is."""
    import pandas as pd

    known, rows = _scores(run, selection), selection.rows.tolist()
    size = run.config["training"]["batch_size"]
    pairs = [known.get(row, (None, None)) for row in rows]
    names = run.reader.rows.domain_names
    domains = run.reader.rows.domains(0, len(run.training))
    return pd.DataFrame(
        {
            "sequence": range(len(rows)),
            "row": rows,
            "step": [row // size for row in rows],
            "domain": [names[number] for number in domains[selection.rows]],
            "score": pd.Series([score for score, _ in pairs], dtype=float),
            "loss": pd.Series([loss for _, loss in pairs], dtype=float),
        }
    )


def _megatron_files(output: Path) -> list[Path]:
    stem = output.with_suffix("") if output.suffix in (".bin", ".idx") else output
    return [stem.with_name(stem.name + end) for end in (".bin", ".idx", ".tsv")]


def _check_free(path: Path, overwrite: bool, folder: bool) -> None:
    if not path.parent.is_dir():
        raise HeadwaterError(f"{path.parent}: no such folder")
    if not (path.exists() or path.is_symlink()):
        return
    if path.is_dir() != folder or path.is_symlink():
        kind = "a folder" if path.is_dir() else "a file or link"
        raise HeadwaterError(f"{path}: {kind} is there; name another --output")
    if not overwrite:
        raise HeadwaterError(
            f"{path}: there already; name another --output, or add --overwrite"
        )
    if folder and not (path / "dataset_info.json").is_file():
        raise HeadwaterError(
            f"{path}: a folder of something else; name another --output"
        )


FORMATS: dict[str, tuple[Writer, Callable[[Path], list[Path]]]] = {
    "jsonl": (_jsonl, lambda output: [output]),
    "hf": (_hf, lambda output: [output]),
    "megatron": (_megatron, _megatron_files),
}
