"""Published checkpoints: a revision of a model on the hub, or of a local folder.

It ends as every other checkpoint of Headwater, see `files`, without optimizer state
(nobody publishes it), and with `source.json`: where each file came from, and its hash.
"""

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from headwater.checkpoints.files import (
    check_finite,
    load_tensors,
    one_line_if_damaged,
    read_model_config,
)
from headwater.checkpoints.revisions import PICKLED, SAFE, folder_problem
from headwater.checkpoints.shape import shape_problem
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.net.failures import ADVICE
from headwater.net.hub import hub_file
from headwater.publish import Identity, publish_folder, write_json
from headwater.steps import step_of

if TYPE_CHECKING:
    from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig

SOURCE_FILE = "source.json"

# Buffers of older `transformers`, stored though they are no weights.
OLD_BUFFERS = ("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq")

Tensors = dict[str, torch.Tensor]
Get = Callable[[str], Path | None]


def fetch_checkpoint(
    target: Path, revision: str, config: Config, identity: Identity
) -> None:
    """Publish a revision as a checkpoint.

    Args:
        revision: its name, `step<N>` or another, which counts as step 0.

    Raises:
        HeadwaterError: it cannot be had, or does not fit the config's model.
    """
    place = config["checkpoints"]
    files: dict[str, Path] = {}
    get = _getter(place, revision, files)
    config_file = get("config.json")
    if config_file is None:
        raise _missing(place, revision, "config.json")
    model_config = read_model_config(config_file)
    if wrong := shape_problem(model_config.to_dict(), config):
        raise HeadwaterError(f"{config_file}: {wrong}")
    # Training repeats bit by bit, and Pythia had no dropout.
    model_config.update({"attention_dropout": 0.0, "hidden_dropout": 0.0})
    tensors = _weights(get)
    if not tensors:
        raise _missing(place, revision, f"{SAFE} or {PICKLED}")
    weights = list(files.values())[-1]
    tensors = normalised(weights, tensors, model_config)
    check_finite(weights, tensors)
    with publish_folder(target, identity) as part:
        model_config.to_json_file(part / "config.json")
        save_file(tensors, part / SAFE)
        step = step_of(revision) or 0
        write_json(
            part / "trainer.json", {"step": step, "loss": None, "identity": identity}
        )
        write_json(part / SOURCE_FILE, _record(place, revision, files))


def normalised(path: Path, tensors: Tensors, model_config: "GPTNeoXConfig") -> Tensors:
    """The model's weights under today's names, without older versions' buffers.

    Raises:
        HeadwaterError: a tensor is missing, unknown or of another shape.
    """
    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

    found = {
        name.replace("embed_out.", "lm_head."): tensor.contiguous()
        for name, tensor in tensors.items()
        if not name.endswith(OLD_BUFFERS)
    }
    with torch.device("meta"):
        wanted = GPTNeoXForCausalLM(model_config).state_dict()
    for name in sorted(wanted.keys() | found.keys()):
        shapes = [
            tuple(weights[name].shape) if name in weights else "missing"
            for weights in (found, wanted)
        ]
        if shapes[0] != shapes[1]:
            raise HeadwaterError(
                f"{path}: {name} is {shapes[0]}, config.json needs {shapes[1]}; the "
                "files do not belong together, fetch them again"
            )
    return {name: found[name] for name in wanted}


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
            path = Path(place["folder"]) / revision / name
        if path is None or not path.is_file():
            return None
        files[name] = path
        return path

    return get


def _weights(get: Get) -> Tensors:
    """Safetensors where there are any; else pickled weights, as tensors only."""
    for name, read in ((SAFE, load_tensors), (PICKLED, load_pickled)):
        path = get(name)
        if path is not None:
            return read(path)
        index = get(f"{name}.index.json")
        if index is not None:
            parts = [get(part) for part in _parts(index)]
            return {k: v for part in parts if part for k, v in read(part).items()}
    return {}


def _parts(index: Path) -> list[str]:
    with one_line_if_damaged(index):
        try:
            return sorted(
                set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no weight_map: {error}") from error


def load_pickled(path: Path) -> Tensors:
    """The tensors of a `.bin` file, read without running code from it.

    Raises:
        HeadwaterError: damaged, or it holds more than tensors.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "empty"
        raise HeadwaterError(
            f"{path}: damaged, or it holds more than tensors, which Headwater does not "
            f"load ({reason}); use a revision with {SAFE}"
        ) from error
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise HeadwaterError(f"{path}: not a table of tensors; use one with {SAFE}")
    return found


def _missing(place: Mapping[str, Any], revision: str, what: str) -> HeadwaterError:
    if "folder" in place:
        folder = Path(place["folder"]) / revision
        return HeadwaterError(
            f"{folder}: no {what}; put a Hugging Face checkpoint there"
        )
    from huggingface_hub import constants

    repo = place["repo"]
    if constants.is_offline_mode():
        return HeadwaterError(
            f"{repo} (revision {revision}): {what} is not in the hub's cache, and "
            f"HF_HUB_OFFLINE is set. {ADVICE}"
        )
    return HeadwaterError(f"{repo} (revision {revision}) has no {what}")


def _record(
    place: Mapping[str, Any], revision: str, files: dict[str, Path]
) -> dict[str, Any]:
    record = {key: place[key] for key in ("repo", "folder") if key in place}
    if "repo" in place:  # the cache keeps a revision's files under its commit
        record["commit"] = next(iter(files.values())).parent.name
    hashes = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
    }
    return {**record, "revision": revision, "sha256": hashes}
