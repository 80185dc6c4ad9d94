"""The weights of published checkpoints: files that strangers made.

Whatever stands in them, what is read lies in the revision's own folder, no code of it
is run, and only what a model can be made of is taken.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from headwater.checkpoints.damage import FETCH_AGAIN, one_line_if_damaged
from headwater.checkpoints.revisions import PICKLED, SAFE
from headwater.errors import HeadwaterError
from headwater.models import architecture
from headwater.strictjson import read_object
from headwater.unreadable import stand_in

if TYPE_CHECKING:
    from headwater.models.sites import Model, ModelConfig

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

Tensors = dict[str, Tensor]
Get = Callable[[str], Path | None]


def read_weights(get: Get) -> tuple[Path, Tensors] | None:
    """Safetensors where there are any; else pickled weights, as tensors only.

    Args:
        get: the file of a name, if there is one.

    Returns:
        The file, or the index of several, and its tensors; None where there is none.

    Raises:
        HeadwaterError: damaged, more than tensors, or a part that is missing.
    """
    for name, read in ((SAFE, _load_safe), (PICKLED, load_pickled)):
        path = get(name)
        if path is not None:
            return path, read(path)
        index = get(f"{name}.index.json")
        if index is not None:
            return index, _parts_together(index, get, read)
    return None


def _load_safe(path: Path) -> Tensors:
    with one_line_if_damaged(path, own=False):
        return load_file(path)


def load_pickled(path: Path) -> Tensors:
    """The tensors of a `.bin` file, read without running code from it.

    Raises:
        HeadwaterError: damaged, or it holds more than tensors.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a pickle makes of its reader has no bounds
        if found := stand_in(path):
            raise HeadwaterError(f"{path}: {found}") from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise HeadwaterError(
            f"{path}: damaged, or it holds more than tensors, which Headwater does not "
            f"load ({lines[0]}); use a revision with {SAFE}"
        ) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and torch.is_tensor(value)
        for name, value in loaded.items()
    ):
        raise HeadwaterError(
            f"{path}: not a table of tensors by name; use a revision with {SAFE}"
        )
    return dict(loaded)


def _parts_together(index: Path, get: Get, read: Callable[[Path], Tensors]) -> Tensors:
    found: Tensors = {}
    for name in _parts(index):
        path = get(name)
        if path is None:
            raise HeadwaterError(
                f"{index}: it names {name}, which is not there; {FETCH_AGAIN}"
            )
        part = read(path)
        if twice := sorted(found.keys() & part.keys()):
            raise HeadwaterError(
                f"{path}: {twice[0]} stands in another file of {index.name} as well; "
                f"{FETCH_AGAIN}"
            )
        found |= part
    return found


def _parts(index: Path) -> list[str]:
    """The files that an index names, all of the index's own folder."""
    with one_line_if_damaged(index, own=False):
        parts = read_object(index).get("weight_map")
        if not isinstance(parts, dict) or not parts:
            raise ValueError("no weight_map of tensors to files")
        for name in parts.values():
            if not _is_plain(name):
                raise ValueError(f"weight_map names {name!r}, no file of this folder")
        return sorted(set(parts.values()))


def _is_plain(name: Any) -> bool:
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    return name.isprintable() and not {"/", "\\"} & set(name)


def normalised(path: Path, tensors: Tensors, model_config: "ModelConfig") -> Tensors:
    """The model's weights under published names, without older versions' buffers.

    They own their memory and are in a precision that float32 holds.

    Raises:
        HeadwaterError: a tensor is missing, unknown, of another shape, or holds what no
            float32 is.
    """
    from headwater.models.sites import published, tied

    model = _empty_model(path, model_config)
    wanted = {name: tuple(own.shape) for name, own in published(model).items()}
    twins = tied(model)
    kind, found = architecture(model_config.model_type), dict[str, Tensor]()
    for stored, tensor in tensors.items():
        name = kind.published_name(stored)
        if f"{model.base_model_prefix}.{name}" in wanted:  # saved as a base model
            name = f"{model.base_model_prefix}.{name}"
        if stored.endswith(kind.buffers) or name in twins:
            continue
        if name in found:
            raise HeadwaterError(
                f"{path}: {stored} stands there twice, under an old and a new "
                f"name; {FETCH_AGAIN}"
            )
        if wrong := _kind_problem(tensor):
            raise HeadwaterError(
                f"{path}: {stored} is {wrong}; only plain weights in float16, "
                "bfloat16, float32 or float64 can be used"
            )
        found[name] = tensor.detach()
    for name in sorted(wanted.keys() | found.keys()):
        shape = tuple(found[name].shape) if name in found else "missing"
        if shape != wanted.get(name, "missing"):
            raise HeadwaterError(
                f"{path}: {name} is {shape}, config.json needs "
                f"{wanted.get(name, 'missing')}; the files do not belong together, "
                f"{FETCH_AGAIN}"
            )
    return _owned({name: _narrowed(path, name, found[name]) for name in wanted})


def _kind_problem(tensor: Tensor) -> str | None:
    if tensor.is_nested or tensor.layout != torch.strided:
        return "no dense tensor"
    if tensor.is_meta:
        return "a tensor without numbers (meta)"
    if tensor.dtype not in DTYPES:
        return f"of type {str(tensor.dtype).removeprefix('torch.')}"
    return None


def _empty_model(path: Path, model_config: "ModelConfig") -> "Model":
    """A model of the config, without numbers."""
    from headwater.models.sites import new_model

    damaged = one_line_if_damaged(path.with_name("config.json"), own=False)
    with damaged, torch.device("meta"):
        return new_model(model_config)


def _narrowed(path: Path, name: str, tensor: Tensor) -> Tensor:
    """The same in float32 where it is wider; refused where that overflows."""
    if tensor.dtype != torch.float64:
        return tensor
    narrow = tensor.float()
    lost = int((tensor.isfinite() & ~narrow.isfinite()).sum())
    if lost:
        raise HeadwaterError(
            f"{path}: {lost} of the {tensor.numel()} numbers of {name} are too large "
            "for float32; this checkpoint cannot be used, take another"
        )
    return narrow


def _owned(tensors: Tensors) -> Tensors:
    """Contiguous, no two sharing memory, as a safetensors file wants them."""
    seen: set[int] = set()
    found: Tensors = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if memory in seen else tensor
        found[name] = found[name].contiguous()
        seen.add(memory)
    return found
