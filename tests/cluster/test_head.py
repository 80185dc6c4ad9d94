"""The head process dies in every way, and the next run goes on from there."""

import shutil
import signal
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from clone import contents
from conftest import Cluster
from slurm import jobs, slurm, wait_for
from workspace import Head, Workspace

RULE = "tokenize_source"  # two jobs side by side
STORES = [f"results/smoke/corpus/packed/0{i}.zarr" for i in (0, 1)]
REFUSED = "another process is writing it"


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> Workspace:
    """A clone with the results of a run that nothing happened to."""
    folder = Path(tempfile.mkdtemp(prefix="w-", dir=cluster.scratch))
    workspace = Workspace.new(folder, cluster.site)
    workspace.start_locally(*STORES).succeed()
    return workspace


@pytest.fixture
def ready(undisturbed: Workspace, cluster: Cluster) -> Workspace:
    """A clone in which both jobs of `RULE` can begin at once."""
    folder = Path(tempfile.mkdtemp(prefix="w-", dir=cluster.scratch)) / "clone"
    workspace = undisturbed.copy(folder)
    shutil.rmtree(folder / "results/smoke/corpus/packed")
    return workspace


def start(workspace: Workspace) -> Head:
    return workspace.start(*STORES)


def at_work(head: Head, state: str = "RUNNING") -> str:
    """Wait until all jobs of `RULE` are in a state; returns the run's id."""
    run = head.name()

    def there() -> bool:
        found = [job for job in jobs(RULE, run) if job.state == state]
        return len(found) == len(STORES)

    wait_for(there, f"{len(STORES)} jobs of {RULE} {state}")
    return run


def check_no_second_writer(*runs: str) -> None:
    """No two jobs for the same output were there at the same time."""
    fields = "Comment,Start,End"
    name = ",".join(runs)
    listed = slurm("sacct", "-X", "-n", "-P", f"--name={name}", "-o", fields)
    spans = defaultdict(list)
    for line in listed.splitlines():
        comment, begin, end = line.split("|")
        if begin not in ("Unknown", "None"):
            spans[comment].append((begin, end))
    assert spans
    for comment, found in spans.items():
        found.sort()
        for (_, end), (begin, _) in pairwise(found):
            assert end <= begin, f"{comment}: {found}"


def check_results(made: Workspace, expected: Workspace) -> None:
    """The same files with the same bytes, and nothing unfinished."""
    found, wanted = contents(made.folder), contents(expected.folder)
    assert found.keys() == wanted.keys()
    assert [name for name in found if found[name] != wanted[name]] == []


def test_ctrl_c_cancels_the_jobs(ready: Workspace, undisturbed: Workspace) -> None:
    head = start(ready)
    first = at_work(head)
    head.signal(signal.SIGINT)
    assert head.wait(200) != 0
    again = start(ready)
    second = again.name()
    again.succeed()
    check_no_second_writer(first, second)
    check_results(ready, undisturbed)


def test_sigterm_lets_the_jobs_end_and_keeps_their_results(
    ready: Workspace, undisturbed: Workspace
) -> None:
    head = start(ready)
    first = at_work(head)
    beside = start(ready)  # a second head beside a live one touches nothing
    assert beside.wait(60) == 1
    assert REFUSED in beside.output()
    head.signal(signal.SIGTERM)
    assert head.wait(200) == 1
    assert [job.state for job in jobs(RULE, first)] == ["COMPLETED", "COMPLETED"]
    again = start(ready)
    second = again.name()
    again.succeed()
    assert jobs(RULE, second) == []
    check_results(ready, undisturbed)


@pytest.mark.parametrize("at_once", [True, False], ids=["submitting", "running"])
def test_after_sigkill_its_jobs_are_ended_first(
    ready: Workspace, undisturbed: Workspace, at_once: bool
) -> None:
    head = start(ready)
    if at_once:
        first = head.name()
        wait_for(lambda: jobs(name=first), "the first job")
    else:
        first = at_work(head)
    head.signal(signal.SIGKILL)
    head.wait(20)
    again = start(ready)
    second = again.name()
    again.succeed()
    assert f"jobs of an earlier run ({first}) are still there" in again.output()
    assert jobs(name=first, live=True) == []
    check_no_second_writer(first, second)
    check_results(ready, undisturbed)


def test_what_ended_well_without_its_head_is_kept(
    ready: Workspace, undisturbed: Workspace
) -> None:
    head = start(ready)
    first = at_work(head)
    head.signal(signal.SIGKILL)
    head.wait(20)
    wait_for(lambda: not jobs(name=first, live=True), "the orphans' end")
    again = start(ready)
    second = again.name()
    again.succeed()
    assert "earlier run" not in again.output()
    assert jobs(RULE, second) == []
    check_results(ready, undisturbed)
