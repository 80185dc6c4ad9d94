"""Two users on one cluster, with one corpus between them."""

import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clone import REPOSITORY, contents
from conftest import Cluster
from workspace import Head, Workspace

SHARDS = ("00.jsonl.zst", "01.jsonl.zst")
USERS = ("www-data", "backup")


@pytest.fixture
def corpus(cluster: Cluster) -> Path:
    """A folder of text that nobody may write to."""
    folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=cluster.scratch))
    for name in SHARDS:
        shutil.copy(REPOSITORY / "resources/corpus" / name, folder)
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time stamp of every file."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


def start(workspace: Workspace) -> Head:
    return workspace.start("corpus", config="config/shared.yaml")


def test_two_users_do_not_touch_each_other(
    cluster: Cluster, corpus: Path, make_workspace: Callable[..., Workspace]
) -> None:
    """One is interrupted and goes on; the other does not notice."""
    before = snapshot(corpus)
    ours, theirs = (make_workspace(jobs=2) for _ in range(2))
    for workspace, user in zip((ours, theirs), USERS, strict=True):
        workspace.config("shared", corpus={"shards": [str(corpus)]})
        if cluster.separate_users:
            workspace.give_to(user)
    first, calm = start(ours), start(theirs)
    first.running("train_tokenizer")
    first.signal(signal.SIGINT)
    first.wait()
    again = start(ours)
    calm.succeed()
    again.succeed()
    assert {job.state for job in calm.jobs("")} == {"COMPLETED"}
    if cluster.separate_users:
        for workspace, head in ((ours, again), (theirs, calm)):
            assert {job.user for job in head.jobs("")} == {workspace.user}
    assert contents(ours.folder, "shared") == contents(theirs.folder, "shared")
    assert snapshot(corpus) == before
