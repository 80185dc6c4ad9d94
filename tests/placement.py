"""A device that is not there: it finds tensors on the wrong one without a GPU.

A tensor on it holds its numbers on the CPU and says that it is elsewhere. Every
operation of torch is looked at when it is called: where a GPU would refuse to mix the
two places it is refused, and otherwise done on the CPU, so that values can be compared.

    with pretended():
        model.to(DEVICE)(input_ids=tokens)  # WrongDeviceError: tokens are on the CPU

The device is called `meta`: the one name besides `cpu` that torch takes without
hardware, and whose backward passes stay in the thread that asks for them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
_CPU = torch.device("cpu")
_ATEN = torch.ops.aten

# Arguments in which a GPU takes a CPU tensor of any shape.
_ANY = {
    _ATEN.copy_: ("self", "src"),
    _ATEN.index: ("indices",),
    _ATEN.index_put: ("indices",),
    _ATEN.index_put_: ("indices",),
}
# Functions that take a single number from the CPU, besides those of a tensor's entries.
_NUMBERS = (_ATEN.fill_, _ATEN.index_put_, _ATEN.masked_fill, _ATEN.masked_fill_)

# Functions whose arguments autocast makes shorter.
_PRODUCTS = (
    *("linear", "matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm"),
    "scaled_dot_product_attention",
)


class WrongDeviceError(RuntimeError):
    """An operation that a GPU would refuse, since its tensors are in two places."""


class Placed(Tensor):
    """A tensor on the device; its numbers are in `held`, a tensor on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Placed":
        placed: Placed = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            dispatch_device=True,  # its `device` is what `_run` says
        )
        placed.held = held
        return placed

    def __init__(self, held: Tensor) -> None:
        pass

    def __repr__(self) -> str:
        return f"Placed({self.held!r})"

    @property
    def data(self) -> Tensor:
        """The same without its history; to set it is to give it other numbers."""
        return self.detach()

    @data.setter
    def data(self, other: "Placed") -> None:
        Tensor.data.__set__(self, other)  # its type
        self.held = other.held

    # Torch puts no numbers of Python's on a device called `meta`, and hands none out of
    # a tensor of another class.

    def __getitem__(self, places: Any) -> Tensor:
        return super().__getitem__(_indices(places))

    def __setitem__(self, places: Any, value: Any) -> None:
        super().__setitem__(_indices(places), value)

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        """As any tensor's, with numbers in it."""
        options = {"dtype": self.dtype, **options}
        return _cpu_tensor(data, **options).to(DEVICE)

    def tolist(self) -> Any:
        """As any tensor's."""
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


def _indices(places: Any) -> Any:
    """Indices with lists as tensors, on the device as those of a GPU's tensor."""
    if isinstance(places, tuple):
        return tuple(map(_indices, places))
    listed = isinstance(places, (list, np.ndarray))
    return torch.as_tensor(places).to(DEVICE) if listed else places


_cpu_tensor = torch.tensor


def _tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
    """As `torch.tensor`."""
    return _cpu_tensor(data, **options).to(device=device)


class _Watch(TorchDispatchMode):
    """Also sees what makes a tensor, and what moves one to the device."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do an operation on the CPU; its results are where a GPU would leave them."""
    if function is torch.ops.prim.device.default:
        return DEVICE
    tensors = [*_tensors((args, kwargs))]
    placed = [a for a in tensors if isinstance(a, Placed)]
    if 0 < len(placed) < len(tensors):
        _check(function, args, kwargs)
    there = bool(placed)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]).type == DEVICE.type
        kwargs = {**kwargs, "device": _CPU}
    result = function(*_each(_held, args), **_each(_held, kwargs))
    if not there:
        return result
    changed = {id(a.held): a for a in placed}  # what is changed in place stays itself
    return _each(lambda a: changed[id(a)] if id(a) in changed else Placed(a), result)


def _held(tensor: Tensor) -> Tensor:
    return tensor.held if isinstance(tensor, Placed) else tensor


def _each(change: Callable[[Tensor], Tensor], values: Any) -> Any:
    """All tensors among an operation's arguments or results changed."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, (list, tuple)):
        return type(values)(_each(change, value) for value in values)
    if isinstance(values, dict):
        return {name: _each(change, value) for name, value in values.items()}
    return values


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors among an operation's arguments."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _check(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse an operation on tensors of both places, if a GPU would.

    Raises:
        WrongDeviceError: it would.
    """
    named = zip(function._schema.arguments, args, strict=False)
    given = {**{argument.name: value for argument, value in named}, **kwargs}
    packet = function.overloadpacket
    numbers = torch.Tag.pointwise in function.tags or packet in _NUMBERS
    for argument in function._schema.arguments:
        if argument.name in _ANY.get(packet, ()):
            continue
        written = argument.alias_info is not None and argument.alias_info.is_write
        for value in _tensors(given.get(argument.name)):
            if isinstance(value, Placed):
                continue
            if value.ndim or written or not numbers:
                shape = list(value.shape)
                text = f"{function}: {argument.name} {shape} is on the CPU, others not"
                raise WrongDeviceError(text)


class _Products(TorchFunctionMode):
    """What autocast does on the device: matrix products in the type of `dtype`.

    Torch's own autocast sees a device by its name alone, and takes none for this one. A
    GPU's also has sums and norms in float32.
    """

    dtype: torch.dtype | None = None

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.dtype and function.__name__ in _PRODUCTS:
            args, kwargs = _each(self._short, (args, kwargs))
        return function(*args, **kwargs)

    def _short(self, value: Tensor) -> Tensor:
        return value.to(self.dtype) if value.dtype == torch.float32 else value

    @contextmanager
    def autocast(
        self, _: str, dtype: torch.dtype | None = None, enabled: bool = True
    ) -> Iterator[None]:
        """As `torch.autocast`."""
        before, self.dtype = self.dtype, dtype if enabled else None
        try:
            with self if self.dtype and not before else nullcontext():
                yield
        finally:
            self.dtype = before

    def enabled(self, _: str) -> bool:
        """As `torch.is_autocast_enabled`."""
        return self.dtype is not None


@contextmanager
def pretended() -> Iterator[None]:
    """Within, `DEVICE` holds numbers, and mistakes are found.

    Where torch decides by the name of a device, it is told what it would be of a GPU:
    that there are fused optimizers, grouped kernels and autocast. And a module that is
    moved swaps its parameters for others of their names, as they change their class.
    """
    products = _Products()
    names = {"autocast": products.autocast, "is_autocast_enabled": products.enabled}
    swapping = torch.__future__.set_swap_module_params_on_conversion
    with ExitStack() as stack:
        for name, own in names.items():
            both = _by_name(own, getattr(torch, name))
            stack.enter_context(patch.object(torch, name, both))
        for module in (_foreach_utils, optimizer):
            for kind in ("foreach", "fused"):
                name = f"_get_{kind}_kernels_supported_devices"
                kinds = [*getattr(module, name)(), DEVICE.type]
                known = patch.object(module, name, partial(list, kinds))
                stack.enter_context(known)
        before = torch.__future__.get_swap_module_params_on_conversion()
        stack.callback(swapping, before)
        swapping(True)
        stack.enter_context(patch.object(torch, "tensor", _tensor))
        stack.enter_context(_Watch())
        yield


def _by_name(own: Callable[..., Any], others: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose first argument is the name of a device."""

    def called(name: str, *args: Any, **kwargs: Any) -> Any:
        return (own if name == DEVICE.type else others)(name, *args, **kwargs)

    return called
