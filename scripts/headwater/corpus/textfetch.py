"""Remote text to local shards in the Pile's format: files of them, or data sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.corpus import streaming
from headwater.corpus.documents import TEXT_NAME
from headwater.net.fetching import fetch_ranges, write_record
from headwater.net.places import base_name
from headwater.net.remote import open_remote
from headwater.publish import publish_folder


def fetch_shard(target: Path, place: str) -> None:
    """Publish a folder with a remote shard and the record of where it came from.

    Args:
        target: the folder; its `text.jsonl.zst` is the shard.
        place: the address of a `.jsonl.zst` file.

    Raises:
        HeadwaterError: the file cannot be had.
    """
    file = open_remote(place)
    with publish_folder(target, {"part": "fetched shard", **file.identity}) as folder:
        parts = [(file, range(file.size))]
        records = fetch_ranges(folder / TEXT_NAME, parts, base_name(place))
        write_record(folder, records)


def fetch_dataset(target: Path, settings: Mapping[str, Any], number: int) -> None:
    """Publish a folder with the documents of a data set that are one job's.

    Args:
        target: the folder; its `text.jsonl.zst` is the shard.
        settings: `corpus.dataset`.
        number: of the job, from 0.

    Raises:
        HeadwaterError: the data set cannot be had, or misses a column.
    """
    settings = streaming.pinned(settings)
    identity = {"part": "fetched data set", "job": number, "origin": settings}
    with publish_folder(target, identity) as folder:
        counts = streaming.write_text(folder, settings, number)
        write_record(folder, [settings], **counts)
