"""Which published files a checkpoint was made of, and whether two are of the same."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headwater.checkpoints.damage import one_line_if_damaged
from headwater.errors import HeadwaterError
from headwater.logs import logger

SOURCE_FILE = "source.json"


@dataclass(frozen=True)
class Published:
    """Where a checkpoint was published.

    Attributes:
        origin: name of the model on the hub, or a local folder.
        commit: of the revision on the hub; empty for a folder.
        weights: SHA-256 of the file of the weights; of several, over all their hashes.
    """

    revision: str
    origin: str
    commit: str
    weights: str


def published(folders: Iterable[Path]) -> list[Published]:
    """What `source.json` says of checkpoints, of those that have one.

    Raises:
        HeadwaterError: a damaged one.
    """
    return [_read(f / SOURCE_FILE) for f in folders if (f / SOURCE_FILE).is_file()]


def tell_equal_revisions(folders: Iterable[Path]) -> None:
    """Warn of published checkpoints, in order of their steps, with the same weights.

    Pythia's first two are rightly the same; but of some models, many revisions are.

    Raises:
        HeadwaterError: the first and the last are the same: no curve says anything.
    """
    found = published(folders)
    names: dict[str, list[str]] = {}
    for one in found:
        names.setdefault(one.weights, []).append(one.revision)
    if len(found) > 1 and found[0].weights == found[-1].weights:
        first, last = found[0], found[-1]
        raise HeadwaterError(
            f"checkpoints.revisions: {first.revision} and {last.revision}, the first "
            f"and the last, have the same weights in {first.origin} (SHA-256 "
            f"{first.weights}); take revisions that differ, or another copy of it"
        )
    equal = [" = ".join(group) for group in names.values() if len(group) > 1]
    if equal:
        logger.warning(
            "checkpoints.revisions: the same weights under several names: %s; "
            "curves are flat between them",
            ", ".join(equal),
        )


def _read(path: Path) -> Published:
    with one_line_if_damaged(path):
        found = json.loads(path.read_text("utf-8"))
        hashes = found["sha256"]
        weights = sorted(hashes[n] for n in hashes if not n.endswith(".json"))
        digest = weights[0]
        if len(weights) > 1:
            digest = hashlib.sha256("".join(weights).encode()).hexdigest()
        origin = found.get("repo") or found.get("folder")
        commit = found.get("commit", "")
        return Published(found["revision"], str(origin), commit, digest)
