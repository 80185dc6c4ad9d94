"""The modules in a package's folder: a new file is a new member, named like it."""

from collections.abc import Container
from importlib import import_module
from pathlib import Path
from types import ModuleType


def names(package_file: str, without: Container[str] = ()) -> list[str]:
    """The modules beside a package's `__init__.py`, sorted.

    Args:
        without: modules that are no members; those whose names begin with `_` are none.
    """
    stems = sorted(path.stem for path in Path(package_file).parent.glob("*.py"))
    return [name for name in stems if name[0] != "_" and name not in without]


def load(package: str, name: str) -> ModuleType:
    """Import one of them."""
    return import_module(f"{package}.{name}")
