"""Checkpoints on disk.

    step<N>/
      config.json            the model's config (Hugging Face)
      model.safetensors      weights, under Hugging Face's names
      optimizer.safetensors  Adam's moments, `<parameter>.exp_avg` and `.exp_avg_sq`
      trainer.json           step, loss, identity

Written under another name and renamed when whole. A folder without one of its files is
refused. Weights alone (`optimizer=None`) make a checkpoint that cannot be resumed from.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.errors import HeadwaterError
from headwater.publish import fsync_tree
from headwater.stages import Config, check_identity

MOMENTS = ("exp_avg", "exp_avg_sq")
MODEL_FILES = ("config.json", "model.safetensors", "trainer.json")
OPTIMIZER_FILE = "optimizer.safetensors"


@dataclass
class TrainerState:
    """What `trainer.json` holds."""

    step: int
    loss: float
    identity: dict[str, Any]


def save_checkpoint(
    folder: Path,
    model: GPTNeoXForCausalLM,
    optimizer: torch.optim.AdamW | None,
    state: TrainerState,
) -> None:
    """Write a checkpoint whole: a temporary sibling, flushed, then renamed."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.config.to_json_file(temporary / "config.json")
    weights = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, temporary / "model.safetensors")
    if optimizer is not None:
        save_file(_moments(model, optimizer), temporary / OPTIMIZER_FILE)
    text = json.dumps(state.__dict__, indent=2)
    (temporary / "trainer.json").write_text(text + "\n")
    fsync_tree(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def load_state(folder: Path, config: Config) -> TrainerState:
    """Read and check `trainer.json`.

    Raises:
        HeadwaterError: a file is missing, it is damaged, or the checkpoint is of
            another config.
    """
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise HeadwaterError(
            f"{folder}: checkpoint without {', '.join(missing)}; delete the folder and "
            "run again"
        )
    with _one_line_if_damaged(folder / "trainer.json") as path:
        state = TrainerState(**json.loads(path.read_text()))
    check_identity(state.identity, config, folder)
    return state


def load_model(folder: Path, config: Config) -> GPTNeoXForCausalLM:
    """The model of a checkpoint, in float32 and evaluation mode.

    Raises:
        HeadwaterError: missing or damaged files, or a checkpoint of another config.
    """
    load_state(folder, config)
    with _one_line_if_damaged(folder / "config.json") as path:
        model_config = GPTNeoXConfig.from_json_file(path)
    model = GPTNeoXForCausalLM(model_config)
    model.load_state_dict(_load_tensors(folder / "model.safetensors"))
    return model.eval()


def load_optimizer(
    folder: Path, model: GPTNeoXForCausalLM, optimizer: torch.optim.AdamW
) -> None:
    """Put a checkpoint's moments and step count into a new optimizer.

    Raises:
        HeadwaterError: the checkpoint holds no optimizer state, or a damaged one.
    """
    if not (folder / OPTIMIZER_FILE).is_file():
        raise HeadwaterError(
            f"{folder}: checkpoint without {OPTIMIZER_FILE}; delete the folder and "
            "run again"
        )
    moments = _load_tensors(folder / OPTIMIZER_FILE)
    step = moments.pop("step")
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        if f"{name}.exp_avg" in moments:
            state["step"] = step.to(parameter.device, copy=True)
            for moment in MOMENTS:
                state[moment] = moments[f"{name}.{moment}"].to(parameter.device)


def can_resume(folder: Path) -> bool:
    """Whether a folder holds all files of a checkpoint with optimizer state.

    A killed process may have left it half deleted.
    """
    return all((folder / name).is_file() for name in (*MODEL_FILES, OPTIMIZER_FILE))


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    with _one_line_if_damaged(path):
        return load_file(path)


@contextmanager
def _one_line_if_damaged(path: Path) -> Iterator[Path]:
    try:
        yield path
    except (SafetensorError, OSError, ValueError) as error:
        raise HeadwaterError(
            f"{path}: damaged ({error}); delete the checkpoint's folder and run again"
        ) from error


def _moments(
    model: GPTNeoXForCausalLM, optimizer: torch.optim.AdamW
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {"step": torch.zeros(())}
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter)
        if state:
            tensors["step"] = state["step"].clone()
            for moment in MOMENTS:
                tensors[f"{name}.{moment}"] = state[moment].contiguous()
    return tensors
