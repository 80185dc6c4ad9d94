"""Packages that are lists of their modules."""

import sys
from pathlib import Path

import pytest

from headwater import members


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "letters_of_a_test"
    folder.mkdir()
    for name in ("__init__", "_helper", "b", "a", "base"):
        (folder / f"{name}.py").write_text(f"name = {name!r}")
    (folder / "notes.txt").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder / "__init__.py"


def test_names_are_the_files_and_nothing_is_imported(package: Path) -> None:
    assert members.names(str(package)) == ["a", "b", "base"]
    assert members.names(str(package), {"base"}) == ["a", "b"]
    assert "letters_of_a_test.a" not in sys.modules


def test_a_member_is_loaded_by_name(package: Path) -> None:
    assert members.load("letters_of_a_test", "b").name == "b"
    with pytest.raises(ModuleNotFoundError):
        members.load("letters_of_a_test", "c")
