"""Checkpoints on disk.

    step<N>/
      config.json            the model's config (Hugging Face)
      model.safetensors      weights, under the names that published models have
      optimizer.safetensors  Adam's moments, `<parameter>.exp_avg` and `.exp_avg_sq`,
                             and the loss scale of half precision
      trainer.json           `TrainerState`; the loss is null before the first update

Written under another name and renamed when whole. A folder without one of its files is
refused. Weights alone (`optimizer=None`) make a checkpoint that cannot be resumed from.
"""

import copy
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from headwater.checkpoints.damage import one_line_if_damaged
from headwater.checkpoints.modelconfig import read_model_config
from headwater.checkpoints.shape import positions_problem
from headwater.errors import HeadwaterError, again
from headwater.identity import Config, check_identity
from headwater.models.sites import (
    Model,
    base_of,
    load_published,
    new_model,
    published,
)
from headwater.publish import fsync_tree

MOMENTS = ("exp_avg", "exp_avg_sq")
MODEL_FILES = ("config.json", "model.safetensors", "trainer.json")
OPTIMIZER_FILE = "optimizer.safetensors"
SCALE = ("scale", "_growth_tracker")  # of the loss, named as torch.amp does
PRECISIONS = {"exact": torch.float32, "bf16": torch.bfloat16}


@dataclass
class TrainerState:
    """What `trainer.json` holds.

    Attributes:
        found: the step at which a run that ends some steps later has found its head.
    """

    step: int
    loss: float | None
    identity: dict[str, Any]
    found: int | None = None


def save_checkpoint(
    folder: Path,
    model: Model,
    optimizer: torch.optim.AdamW | None,
    state: TrainerState,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write a checkpoint whole: a temporary sibling, flushed, then renamed."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.config.to_json_file(temporary / "config.json")
    weights = published(model).items()
    save_weights({k: v.detach().contiguous() for k, v in weights}, temporary)
    if optimizer is not None:
        tensors = {**_moments(model, optimizer), **_scale(scaler)}
        save_file(tensors, temporary / OPTIMIZER_FILE)
    text = json.dumps(state.__dict__, indent=2, allow_nan=False)
    (temporary / "trainer.json").write_text(text + "\n", encoding="utf-8")
    fsync_tree(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def save_weights(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Write a model's weights, under published names, into a checkpoint's folder."""
    # Some readers of safetensors want to know the library.
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load_state(folder: Path, config: Config) -> TrainerState:
    """Read and check `trainer.json`.

    Raises:
        HeadwaterError: a file is missing, it is damaged, or the checkpoint is of
            another config.
    """
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise HeadwaterError(
            f"{folder}: checkpoint without {', '.join(missing)}; {again(folder)}"
        )
    with one_line_if_damaged(folder / "trainer.json") as path:
        state = TrainerState(**json.loads(path.read_text(encoding="utf-8")))
    check_identity(state.identity, config, folder)
    return state


def load_model(folder: Path, config: Config) -> Model:
    """The model of a checkpoint, in float32 and evaluation mode.

    Raises:
        HeadwaterError: missing or damaged files, a checkpoint of another config, a
            unsupported model or one too short for the rows, or a weight that is NaN
            or infinite.
    """
    load_state(folder, config)
    model_config = read_model_config(folder / "config.json")
    length = config["corpus"]["seq_len"]
    if wrong := positions_problem(model_config.to_dict(), length):
        raise HeadwaterError(f"{folder}: {wrong}")
    path = folder / "model.safetensors"
    tensors = load_tensors(path)
    check_finite(path, tensors)
    model = new_model(model_config)
    with one_line_if_damaged(path):
        load_published(model, tensors)
    _check_first_batch(model, folder)
    return model.eval()


def _check_first_batch(model: Model, folder: Path) -> None:
    """Let the model's first pass refuse the checkpoint if its output is not finite."""

    def check(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        handle.remove()
        if not output.last_hidden_state.isfinite().all():
            raise HeadwaterError(
                f"{folder}: its weights are finite, but what it makes of its first "
                "batch is NaN or infinite (its config.json does not fit them, or the "
                "training diverged); take another checkpoint"
            )

    handle = base_of(model).register_forward_hook(check)


def load_for_pass(
    folder: Path, config: Config, device: torch.device, precision: str = "exact"
) -> Model:
    """`load_model` for passes over rows: on a device, in `exact` (float32) or `bf16`.

    Under `bf16` sums over rows stay float32.
    """
    model = load_model(folder, config).to(device)
    for parameter in model.parameters():  # not buffers: rotary angles need float32
        parameter.data = parameter.data.to(PRECISIONS[precision])
    return model


def check_finite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        HeadwaterError: names the first such tensor.
    """
    for name, tensor in tensors.items():
        bad = tensor.numel() - int(torch.isfinite(tensor).sum())
        if bad:
            raise HeadwaterError(
                f"{path}: {bad} of the {tensor.numel()} numbers of {name} are NaN or "
                "infinite; this checkpoint cannot be used, take another"
            )


def load_optimizer(
    folder: Path,
    model: Model,
    optimizer: torch.optim.AdamW,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Put a checkpoint's moments, step count and loss scale into new ones.

    Raises:
        HeadwaterError: the checkpoint holds no optimizer state, or a damaged one.
    """
    if not (folder / OPTIMIZER_FILE).is_file():
        raise HeadwaterError(
            f"{folder}: checkpoint without {OPTIMIZER_FILE}; {again(folder)}"
        )
    moments = load_tensors(folder / OPTIMIZER_FILE)
    _set_scale(scaler, moments)
    step = moments.pop("step")
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        if f"{name}.exp_avg" in moments:
            state["step"] = step.to(parameter.device, copy=True)
            for moment in MOMENTS:
                state[moment] = moments[f"{name}.{moment}"].to(parameter.device)


def adam_steps(folder: Path, model: Model, config: Config) -> Model:
    """A copy of the model that holds, for each weight, Adam's divisor `sqrt(v) + eps`.

    `v` is corrected for its beginning, as in the update. Weights without a state, which
    were never trained, have infinity.

    Raises:
        HeadwaterError: the checkpoint holds no optimizer state, or a damaged one.
    """
    recipe = config["training"]
    moments = load_tensors(folder / OPTIMIZER_FILE)
    grown = 1 - recipe["betas"][1] ** float(moments["step"])
    held = copy.deepcopy(model)
    for name, parameter in held.named_parameters():
        seen = moments.get(f"{name}.exp_avg_sq")
        size = math.inf if seen is None else (seen / grown).sqrt() + recipe["eps"]
        parameter.data.copy_(torch.as_tensor(size).expand_as(parameter))
    return held


def can_resume(folder: Path) -> bool:
    """Whether a folder holds all files of a checkpoint with optimizer state.

    A killed process may have left it half deleted.
    """
    return all((folder / name).is_file() for name in (*MODEL_FILES, OPTIMIZER_FILE))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        HeadwaterError: the file is damaged.
    """
    with one_line_if_damaged(path):
        return load_file(path)


def _scale(scaler: torch.amp.GradScaler | None) -> dict[str, torch.Tensor]:
    state = scaler.state_dict() if scaler else {}
    return {key: torch.tensor(state[key]) for key in SCALE if key in state}


def _set_scale(
    scaler: torch.amp.GradScaler | None, tensors: dict[str, torch.Tensor]
) -> None:
    stored = {key: tensors.pop(key).item() for key in SCALE if key in tensors}
    if scaler and scaler.is_enabled():
        scaler.load_state_dict({**scaler.state_dict(), **stored})


def _moments(model: Model, optimizer: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {"step": torch.zeros(())}
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter)
        if state:
            tensors["step"] = state["step"].clone()
            for moment in MOMENTS:
                tensors[f"{name}.{moment}"] = state[moment].contiguous()
    return tensors
