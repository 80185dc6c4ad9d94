"""Fixtures of the cluster tests: the cluster, and clones to run on it."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Lab
from lab.machine import LabError
from slurm_site import Site, open_lab
from workspace import STARTED, Workspace, python_for_all

HERE = Path(__file__).parent


class Cluster:
    """What the tests know of the cluster.

    Attributes:
        site: account and partitions.
        scratch: folder for clones, which all nodes see and all users enter.
    """

    def __init__(self, site: Site, lab: Lab | None, scratch: Path) -> None:
        self.site, self._lab, self.scratch = site, lab, scratch

    @property
    def lab(self) -> Lab:
        """The lab, for tests that break nodes or the controller; else they skip."""
        if self._lab is None:
            pytest.skip("an existing cluster's nodes and controller are left alone")
        return self._lab

    @property
    def separate_users(self) -> bool:
        """Whether tests of two users can be two: root may become others, who see us."""
        return self._lab is not None and python_for_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster. A lab is started once, and always taken down at the end."""
    if os.environ.get("HEADWATER_CLUSTER") is None:
        os.environ.pop("SLURM_CONF", None)  # /etc/slurm counts, as in jobs
    try:
        site, lab, own = open_lab()
    except (LabError, ValueError) as error:
        pytest.exit(str(error), returncode=1)
    scratch = Path(tempfile.mkdtemp(prefix="headwater-cluster-", dir=site.scratch))
    scratch.chmod(0o755)
    try:
        yield Cluster(site, lab, scratch)
    finally:
        kill_heads()
        if lab and own:
            lab.down()
        remove_behind(scratch)


def remove_behind(folder: Path) -> None:
    """Remove a folder while something else goes on: of many clones it takes minutes.

    Its name is free at once.
    """
    gone = folder.rename(folder.with_name(f"{folder.name}.removed"))
    subprocess.Popen(["rm", "-rf", gone], start_new_session=True)


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """No head, no job and no broken node is left for the next test."""
    yield
    kill_heads()
    if "cluster" in request.fixturenames:
        lab = request.getfixturevalue("cluster")._lab
        if lab:
            lab.heal()


def kill_heads() -> None:
    """End every head that is still there."""
    while STARTED:
        STARTED.pop().kill()


@pytest.fixture
def make_workspace(cluster: Cluster) -> Callable[..., Workspace]:
    """Make clones in folders of their own; keywords are keys of the profile."""

    def make(**profile: Any) -> Workspace:
        folder = Path(tempfile.mkdtemp(prefix="w-", dir=cluster.scratch))
        folder.chmod(0o755)
        return Workspace.new(folder, cluster.site, **profile)

    return make


@pytest.fixture
def workspace(make_workspace: Callable[..., Workspace]) -> Workspace:
    """One clone with the profile edited for the cluster."""
    return make_workspace()
