"""Data sets that the `datasets` library streams: text to `.jsonl.zst`, ids to rows.

Text becomes a shard in the Pile's format, so that all that follows is the same as for
the Pile. What is written is taken up again after a kill where it stood, by the state
that the library gives of its stream.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from headwater.corpus.detectors import detected_domain
from headwater.corpus.documents import zstd
from headwater.corpus.files import TEXT_NAME
from headwater.errors import HeadwaterError
from headwater.net.failures import ADVICE, ask, reason
from headwater.net.fetching import GrowingFile, write_record
from headwater.net.places import HubPlace
from headwater.progress import Progress
from headwater.publish import publish_folder
from headwater.shares import share_of

logger = logging.getLogger("headwater")

_COMMIT_BYTES = 1 << 24
_BLOCK_ROWS = 256
_BUILDERS = {
    ".jsonl": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".txt": "text",
}
_COMPRESSED = (".gz", ".zst", ".xz", ".bz2")

Settings = Mapping[str, Any]


def open_stream(settings: Settings, job: int = 0) -> Any:
    """The data set as a stream, or the part of it that is a job's (from 0).

    Returns:
        A `datasets.IterableDataset`.

    Raises:
        HeadwaterError: it cannot be had, or has fewer files than jobs.
    """
    # Slow to import, and needed by the jobs that fetch only.
    import datasets

    datasets.disable_progress_bars()
    try:
        stream = datasets.load_dataset(
            **_origin(settings), split=settings["split"], streaming=True
        )
    except Exception as error:  # the library's, the hub's and the network's own
        raise _cannot_read(settings, error) from error
    jobs = settings.get("jobs", 1)
    if jobs == 1:
        return stream
    if jobs > stream.num_shards:
        raise HeadwaterError(
            f"corpus.dataset.jobs: {jobs} jobs, but {_name(settings)} has "
            f"{stream.num_shards} files; lower it"
        )
    return stream.shard(num_shards=jobs, index=job)


def pinned(settings: Settings) -> dict[str, Any]:
    """The settings with the commit in place of a branch or tag of the hub.

    Raises:
        HeadwaterError: no such data set or revision, or no network.
    """
    if "name" not in settings:
        return dict(settings)
    from huggingface_hub import HfApi

    place = HubPlace(settings["name"], "dataset", settings["revision"], "")
    try:
        found = ask(
            place, lambda: HfApi().dataset_info(place.repo, revision=place.revision)
        )
    except HeadwaterError as error:
        raise HeadwaterError(f"corpus.dataset: {error}") from error
    return {**settings, "revision": found.sha}


def _origin(settings: Settings) -> dict[str, Any]:
    if "name" in settings:
        return {
            "path": settings["name"],
            "name": settings.get("subset"),
            "revision": settings["revision"],
        }
    files = list(settings["files"])
    suffixes = [s for s in Path(files[0]).suffixes if s not in _COMPRESSED]
    kind = suffixes[-1] if suffixes else ""
    if kind not in _BUILDERS:
        raise HeadwaterError(
            f"corpus.dataset.files: {files[0]}: expected a name that ends in "
            f"{', '.join(_BUILDERS)}"
        )
    return {"path": _BUILDERS[kind], "data_files": {settings["split"]: files}}


def _name(settings: Settings) -> str:
    return settings["name"] if "name" in settings else str(settings["files"][0])


def _cannot_read(settings: Settings, error: Exception) -> HeadwaterError:
    if isinstance(error, HeadwaterError):
        return error
    why = f"{reason(error).rstrip('.')}." + (f" {ADVICE}" if "name" in settings else "")
    return HeadwaterError(f"corpus.dataset: cannot read {_name(settings)!r}: {why}")


def fetch_text(target: Path, settings: dict[str, Any], job: int) -> None:
    """Publish a folder with a job's documents as `text.jsonl.zst`.

    Args:
        settings: `corpus.dataset`, from `pinned`.
        job: which of its jobs, from 0.

    Raises:
        HeadwaterError: a missing column, or a column that holds no text.
    """
    identity = {"part": "fetched data set", "job": job, "origin": settings}
    with publish_folder(target, identity) as folder:
        documents = _write_text(folder, settings, job)
        write_record(folder, [settings], documents=documents)


def _write_text(folder: Path, settings: Settings, job: int) -> int:
    stream = open_stream(settings, job)
    file = GrowingFile(folder / TEXT_NAME)
    done = file.state.get("documents", 0)
    most = None
    if "documents" in settings:
        most = len(share_of(settings["documents"], settings["jobs"], job))
    progress = Progress(f"fetching {folder.name}", most, "documents", done=done)
    lines: list[bytes] = []

    def commit() -> None:
        file.write(zstd.compress(b"".join(lines)))
        file.commit({"documents": done, "stream": stream.state_dict()})
        lines.clear()

    waiting = 0
    left = None if most is None else most - done
    for example in islice(examples(stream, file.state, settings), left):
        lines.append(_line(example, settings, done))
        waiting += len(lines[-1])
        done += 1
        progress.update()
        if waiting >= _COMMIT_BYTES:
            commit()
            waiting = 0
    commit()
    file.finish()
    return int(done)


def examples(
    stream: Any, state: Mapping[str, Any], settings: Settings
) -> Iterator[Mapping[str, Any]]:
    """The examples of a stream, from where a state's `stream` says.

    Raises:
        HeadwaterError: they cannot be read.
    """
    if "stream" in state:
        stream.load_state_dict(state["stream"])
    try:
        yield from stream
    except Exception as error:  # the library's, the hub's and the network's own
        raise _cannot_read(settings, error) from error


def _line(example: Mapping[str, Any], settings: Settings, number: int) -> bytes:
    text = column(example, settings["text"], "text")
    if text is not None and not isinstance(text, str):
        raise HeadwaterError(
            f'corpus.dataset.text: column "{settings["text"]}" of document {number:,} '
            f"holds {type(text).__name__}, not text"
        )
    if "domain" in settings:
        label = column(example, settings["domain"], "domain")
        # Missing in a column of text is None, in one of numbers NaN.
        domain = "" if label is None or label != label else str(label)
    else:
        domain = detected_domain(text or "")
    value = {"text": text, "meta": {"pile_set_name": domain}}
    return json.dumps(value).encode() + b"\n"


def column(example: Mapping[str, Any], name: str, key: str) -> Any:
    """A column of an example; dots go inside. What a null holds is null.

    Raises:
        HeadwaterError: no such column; those it has are named.
    """
    value: Any = example
    for part in [name] if name in example else name.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or part not in value:
            raise HeadwaterError(
                f'corpus.dataset.{key}: no column "{name}"; the data set has: '
                f"{', '.join(sorted(map(str, example)))}"
            )
        value = value[part]
    return value


def token_rows(
    stream: Any, state: Mapping[str, Any], settings: Settings, width: int
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Blocks of rows of token ids, each with the state to go on from after it.

    The first comes from where a state's `stream` says.

    Yields:
        int64 [rows, width], and `{"stream": ...}`.

    Raises:
        HeadwaterError: a missing column, or an entry that is no row.
    """
    entries: list[np.ndarray] = []
    first = state.get("rows", 0)
    for number, example in enumerate(examples(stream, state, settings), first):
        entry = column(example, settings["tokens"], "tokens")
        entries.append(_row(entry, settings["tokens"], number, width))
        if len(entries) == _BLOCK_ROWS:
            yield np.stack(entries), {"stream": stream.state_dict()}
            entries.clear()
    if entries:
        yield np.stack(entries), {"stream": stream.state_dict()}


def _row(entry: Any, name: str, number: int, width: int) -> np.ndarray:
    try:
        row = np.array(entry)
    except ValueError:
        row = np.empty(0)
    is_list = row.ndim == 1 and row.dtype.kind in "iu"
    if is_list and len(row) == width:
        return row.astype(np.int64)
    found = f"{len(row):,} tokens" if is_list else _found(entry)
    raise HeadwaterError(
        f'corpus.dataset.tokens: entry {number:,} of column "{name}" is not a list of '
        f"{width:,} token ids (corpus.seq_len + 1), found {found}; set corpus.seq_len, "
        "or name another column"
    )


def _found(entry: Any) -> str:
    if entry is None or (isinstance(entry, list) and None in entry):
        return "a null"
    return "none"
