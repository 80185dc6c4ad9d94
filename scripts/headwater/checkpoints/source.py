"""Published checkpoints: a revision of a model on the hub, or of a local folder.

It ends as every other checkpoint of Headwater, see `files`, without optimizer state
(nobody publishes it), and with `source.json`: where each file came from, and its hash.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.files import check_finite, save_weights
from headwater.checkpoints.modelconfig import read_model_config
from headwater.checkpoints.published import SOURCE_FILE
from headwater.checkpoints.revisions import (
    PICKLED,
    SAFE,
    folder_problem,
    revision_steps,
)
from headwater.checkpoints.shape import shape_problem
from headwater.checkpoints.weights import Get, normalised, read_weights
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.models import architecture
from headwater.net.hub import absent, hub_file
from headwater.publish import Identity, publish_folder, write_json
from headwater.steps import step_of


def fetch_checkpoint(
    target: Path, revision: str, config: Config, identity: Identity
) -> None:
    """Publish a revision as a checkpoint.

    Args:
        revision: its name; one that tells no step counts as step 0.

    Raises:
        HeadwaterError: it cannot be had, or does not fit the config's model.
    """
    place = config["checkpoints"]
    files: dict[str, Path] = {}
    get = _getter(place, revision, files)
    config_file = get("config.json")
    if config_file is None:
        raise _missing(place, revision, "config.json")
    model_config = read_model_config(config_file, own=False)
    if wrong := shape_problem(model_config.to_dict(), config):
        raise HeadwaterError(f"{config_file}: {wrong}")
    # Training repeats bit by bit, and Pythia had no dropout.
    dropouts = architecture(model_config.model_type).dropouts
    model_config.update(dict.fromkeys(dropouts, 0.0))
    found = read_weights(get)
    if found is None:
        raise _missing(place, revision, f"{SAFE} or {PICKLED}")
    path, tensors = found[0], normalised(*found, model_config)
    check_finite(path, tensors)
    with publish_folder(target, identity) as part:
        model_config.to_json_file(part / "config.json")
        save_weights(tensors, part)
        step = revision_steps(place).get(revision, step_of(revision) or 0)
        write_json(
            part / "trainer.json", {"step": step, "loss": None, "identity": identity}
        )
        write_json(part / SOURCE_FILE, _record(place, revision, files))


def _getter(place: Mapping[str, Any], revision: str, files: dict[str, Path]) -> Get:
    """What finds a file of the revision by its name, and notes it in `files`."""
    if "folder" in place and (wrong := folder_problem(Path(place["folder"]), revision)):
        raise HeadwaterError(f"{place['folder']}: {wrong}")

    def get(name: str) -> Path | None:
        if "repo" in place:
            try:
                path = hub_file(place["repo"], revision, name)
            except HeadwaterError as error:
                raise HeadwaterError(f"checkpoints.repo: {error}") from error
        else:
            path = _within(Path(place["folder"]), revision, name)
        if path is not None:
            files[name] = path
        return path

    return get


def _within(folder: Path, revision: str, name: str) -> Path | None:
    """A file of a local revision, if it is there; not what a link has elsewhere."""
    own = (folder / revision).resolve()
    # The hub's cache keeps a snapshot's files beside it.
    blobs = own.parent.parent / "blobs" if own.parent.name == "snapshots" else own
    path = folder / revision / name
    if not os.path.isfile(path):  # which takes any name, however long
        return None
    if not any(map(path.resolve().is_relative_to, (folder.resolve(), own, blobs))):
        raise HeadwaterError(
            f"{path}: a link that leads out of {folder}; copy the file itself there"
        )
    return path


def _missing(place: Mapping[str, Any], revision: str, what: str) -> HeadwaterError:
    if "folder" in place:
        folder = Path(place["folder"]) / revision
        return HeadwaterError(
            f"{folder}: no {what}; put a Hugging Face checkpoint there"
        )
    return absent(place["repo"], revision, what)


def _record(
    place: Mapping[str, Any], revision: str, files: dict[str, Path]
) -> dict[str, Any]:
    record = {key: place[key] for key in ("repo", "folder") if key in place}
    if "repo" in place:  # the cache keeps a revision's files under its commit
        record["commit"] = next(iter(files.values())).parent.name
    hashes = {name: _sha256(path) for name, path in files.items()}
    return {**record, "revision": revision, "sha256": hashes}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
