"""The lab refuses machines that are not its own to change."""

from pathlib import Path

import pytest

from lab import machine
from lab.cluster import Lab
from lab.machine import LabError


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /etc/slurm on a machine that would do."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setattr(machine, "ETC", folder)
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    return folder


def refusal() -> str:
    with pytest.raises(LabError) as caught:
        machine.check_machine()
    assert "HEADWATER_CLUSTER=existing" in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("etc")
def test_it_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    assert "need root" in refusal()


@pytest.mark.usefixtures("etc")
def test_it_needs_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert "need Debian" in refusal()


@pytest.mark.parametrize("name", machine.LINKS)
def test_a_real_configuration_is_left_alone(etc: Path, name: str) -> None:
    (etc / name).write_text("ClusterName=real\n")
    assert str(etc / name) in refusal()
    with pytest.raises(LabError):
        Lab.up()
    assert (etc / name).read_text() == "ClusterName=real\n"


def test_a_link_to_elsewhere_is_left_alone(etc: Path, tmp_path: Path) -> None:
    (tmp_path / "real.conf").write_text("ClusterName=real\n")
    (etc / "slurm.conf").symlink_to(tmp_path / "real.conf")
    assert "slurm.conf is there" in refusal()


def test_links_of_a_lab_that_is_gone_are_replaced_and_taken_away(
    etc: Path, tmp_path: Path
) -> None:
    machine.link(tmp_path / f"{machine.PREFIX}gone")
    machine.check_machine()
    assert Lab.found() is None
    new = tmp_path / f"{machine.PREFIX}new"
    machine.link(new)
    machine.unlink(tmp_path / "another")
    assert machine.linked_lab() == new
    machine.unlink(new)
    assert list(etc.iterdir()) == []
