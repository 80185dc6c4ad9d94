"""Rows of a remote source, or of a data set's column of token ids, to a local folder.

The folder holds `tokens.bin`, the rows one after the other, and the record of where
they came from (`fetching`). Of Pythia's files just the bytes of the rows needed are
fetched, of parquet files just the row groups; both are taken up again after a kill.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from headwater.corpus import megatron, streaming, tokenparts
from headwater.corpus.batches import BatchFiles
from headwater.corpus.rowsource import TOKENS_NAME, RowNeeds, check_ids, columns_of
from headwater.corpus.rowstore import token_dtype
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.net.failures import NotThereError
from headwater.net.fetching import GrowingFile, check_space, fetch_ranges, write_record
from headwater.net.places import base_name, hub_place, without_secrets
from headwater.net.remote import RemoteFile, RemoteReader, list_files, open_remote
from headwater.progress import Progress
from headwater.publish import publish_folder
from headwater.steps import bytes_of_rows, past_the_end

_COMMIT_BYTES = 1 << 26


def fetch_rows(target: Path, config: Config, plan: RowNeeds, vocabulary: int) -> None:
    """Publish a folder with the rows that an experiment needs.

    Args:
        config: the whole config, whose source is not a local file of token ids.
        plan: the rows needed.
        vocabulary: token ids of the tokenizer.

    Raises:
        HeadwaterError: the source cannot be had, or is not what the config says.
    """
    corpus = config["corpus"]
    if "pythia" in corpus:
        _fetch_tokens(target, corpus["pythia"]["path"], plan)
    elif "parquet" in corpus:
        _fetch_batches(target, corpus, plan, vocabulary)
    else:
        _fetch_entries(target, corpus["dataset"], plan, vocabulary)


def _fetch_tokens(target: Path, place: str, plan: RowNeeds) -> None:
    wanted = bytes_of_rows(plan.all, plan.width, megatron.UINT16.itemsize)
    names, index = token_places(place)
    parts = _parts(names, wanted, plan)
    _check_index(names[0], index, plan)
    identity = _identity([(file.identity, part) for file, part in parts], plan)
    with publish_folder(target, identity) as folder:
        name = tokenparts.whole_name(base_name(names[0]))
        records = fetch_ranges(folder / TOKENS_NAME, parts, name)
        _write_record(folder, name, megatron.UINT16, plan, records)


def token_places(place: str) -> tuple[list[str], str | None]:
    """The `.bin` files at a remote place in order, and where their index should be.

    Raises:
        HeadwaterError: no such files, or files that do not belong together.
    """
    hub = hub_place(place)
    if hub is None or hub.path.endswith(".bin"):
        names = tokenparts.part_order_of(place, _shards_after(place))
        return names, tokenparts.index_name(names[0])
    found = [
        str(file)
        for file in list_files(hub)
        if "/" not in file.path.removeprefix(hub.path).strip("/")
    ]
    names = tokenparts.part_order_of(place, found)
    index = tokenparts.index_name(names[0])
    return names, index if index in found else None


def _shards_after(place: str) -> list[str]:
    """A file, and the shards that come after it if it is the first of some."""
    name = base_name(place)
    found = tokenparts.PART_NAME.fullmatch(name)
    if found is None or int(found["index"]) != 0:
        return [place]
    shards = range(int(found["last"]) + 1)
    names = [f"{found['stem']}-{i:05d}-of-{found['last']}.bin" for i in shards]
    return [place.replace(name, shard) for shard in names]


def _parts(
    names: list[str], wanted: range, plan: RowNeeds
) -> list[tuple[RemoteFile, range]]:
    """The files that hold these bytes of the whole, and which of theirs are wanted."""
    parts: list[tuple[RemoteFile, range]] = []
    begin = 0
    for name in names:
        if begin >= wanted.stop:
            break
        file = open_remote(name)
        parts.append((file, range(0, min(file.size, wanted.stop - begin))))
        begin += file.size
    row = plan.width * megatron.UINT16.itemsize
    sizes = [file.size for file, _ in parts]
    rows = tokenparts.check_sizes(names[: len(parts)], sizes, row)
    if rows < plan.all.stop:
        raise past_the_end(without_secrets(names[0]), plan.all, rows)
    return parts


def _check_index(name: str, place: str | None, plan: RowNeeds) -> None:
    try:
        if place is None:
            raise NotThereError("")
        file = open_remote(place)
    except NotThereError:
        megatron.warn_no_index(without_secrets(name), plan.width)
        return
    header = file.read(0, min(megatron.HEADER.size, file.size))
    index = megatron.parse_header(file.place, header, file.size)
    megatron.check_rows(index, file.read, plan.all, plan.width)


def _fetch_batches(
    target: Path, corpus: dict[str, Any], plan: RowNeeds, vocabulary: int
) -> None:
    used: list[RemoteFile] = []

    def files() -> Iterator[tuple[str, BinaryIO]]:
        for place in _batch_places(corpus["parquet"]["files"]):
            used.append(open_remote(place))
            yield used[-1].place, cast(BinaryIO, RemoteReader(used[-1]))

    columns = columns_of(corpus)
    source = BatchFiles(files(), plan.all, plan.width, plan.batch_size, columns)
    origin = [file.identity for file in used]
    with publish_folder(target, _identity([*origin, vars(columns)], plan)) as folder:
        file = GrowingFile(folder / TOKENS_NAME)
        done = file.state.get("rows", 0)
        blocks = source.blocks(done, plan.all.stop, plan.batch_size)
        dtype = token_dtype(vocabulary)
        _append(file, ((block, {}) for block in blocks), source.name, vocabulary, plan)
        _write_record(folder, source.name, dtype, plan, origin)


def _batch_places(places: Iterable[str]) -> Iterator[str]:
    for place in places:
        hub = hub_place(place)
        if hub is None or hub.path.endswith(".parquet"):
            yield place
            continue
        found = [str(f) for f in list_files(hub) if f.path.endswith(".parquet")]
        if not found:
            raise HeadwaterError(f"{place}: no .parquet file there")
        yield from found


def _fetch_entries(
    target: Path, settings: dict[str, Any], plan: RowNeeds, vocabulary: int
) -> None:
    settings = streaming.pinned(settings)
    name = base_name(settings.get("name") or settings["files"][0])
    with publish_folder(target, _identity([settings], plan)) as folder:
        file = GrowingFile(folder / TOKENS_NAME)
        stream = streaming.open_stream(settings)
        entries = streaming.token_rows(stream, file.state, settings, plan.width)
        _append(file, entries, name, vocabulary, plan)
        _write_record(folder, name, token_dtype(vocabulary), plan, [settings])


def _append(
    file: GrowingFile,
    blocks: Iterable[tuple[np.ndarray, dict[str, Any]]],
    name: str,
    vocabulary: int,
    plan: RowNeeds,
) -> None:
    """Write the rows that are missing, with the state of the source after each block.

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    done, total = file.state.get("rows", 0), plan.all.stop
    progress = Progress(f"fetching {name}", total, "rows", done=done)
    dtype, unsure, state = token_dtype(vocabulary), 0, file.state
    check_space(file.path, (total - done) * plan.width * dtype.itemsize)
    for tokens, source_state in blocks:
        if done == total:
            break
        tokens = tokens[: total - done]
        check_ids(name, done, tokens, vocabulary)
        file.write(tokens.astype(dtype).tobytes())
        done += len(tokens)
        progress.update(len(tokens))
        unsure += tokens.size * dtype.itemsize
        state = {"rows": done, **source_state}
        if unsure >= _COMMIT_BYTES:
            file.commit(state)
            unsure = 0
    if done < total:
        raise past_the_end(name, plan.all, done)
    file.commit(state)
    file.finish()


def _identity(origin: list[Any], plan: RowNeeds) -> dict[str, Any]:
    return {
        "part": "fetched rows",
        "origin": [str(entry) for entry in origin],
        "rows": plan.all.stop,
        "width": plan.width,
    }


def _write_record(
    folder: Path, source: str, dtype: np.dtype, plan: RowNeeds, parts: list[Any]
) -> None:
    write_record(
        folder,
        parts,
        source=source,
        dtype=dtype.str,
        rows=plan.all.stop,
        width=plan.width,
    )
