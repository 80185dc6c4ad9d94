"""Packages that are lists: each module of the folder is an entry, by its name."""

import importlib
from collections.abc import Container
from pathlib import Path
from types import ModuleType


def names(package_file: str, without: Container[str] = ()) -> list[str]:
    """Names of the modules in a package's folder, sorted; none is imported.

    Args:
        package_file: `__file__` of the package.
        without: modules that are no entries; nor are those whose names begin with "_".
    """
    found = sorted(path.stem for path in Path(package_file).parent.glob("*.py"))
    return [name for name in found if name[0] != "_" and name not in without]


def load(package: str, name: str) -> ModuleType:
    """A module of a package by name."""
    return importlib.import_module(f"{package}.{name}")
