"""The head process dies in every way, and the next run goes on from there."""

import signal
from collections import defaultdict

import pytest

from clone import contents
from slurm import jobs, slurm, wait_for
from workspace import Head, Workspace

RULE = "tokenize_source"  # two jobs side by side, from two files
FILES = [f"resources/corpus/0{i}.jsonl.zst" for i in (0, 1)]
REFUSED = "another process is writing it"


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A clone in which both jobs of `RULE` can begin at once."""
    workspace.config("smoke", corpus={"shards": FILES, "row_shards": 1})
    tokenizer = "results/smoke/corpus/tokenizer"
    workspace.start_locally(tokenizer).succeed()
    return workspace


def start(workspace: Workspace) -> Head:
    return workspace.start("corpus")


def run_id(head: Head) -> str:
    """The name of all jobs of a head."""
    words = wait_for(lambda: head.output().split("SLURM run ID: ")[1:], "the run's id")
    return words[0].split()[0]


def at_work(head: Head, state: str = "RUNNING") -> str:
    """Wait until all jobs of `RULE` are in a state; returns the run's id."""
    run = run_id(head)

    def there() -> bool:
        found = [job for job in jobs(RULE, run) if job.state == state]
        return len(found) == len(FILES)

    wait_for(there, f"{len(FILES)} jobs of {RULE} {state}")
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
        for (_, end), (begin, _) in zip(found, found[1:], strict=False):
            assert end <= begin, f"{comment}: {found}"


def finish_like_local(workspace: Workspace) -> None:
    """The results equal those of a run that nothing happened to."""
    made = contents(workspace.folder)
    whole = workspace.config("whole", corpus={"shards": FILES, "row_shards": 1})
    workspace.start_locally("corpus", config=whole).succeed()
    expected = contents(workspace.folder, "whole")
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    assert not list((workspace.folder / "results/smoke").rglob("*.part"))


def test_ctrl_c_cancels_the_jobs(ready: Workspace) -> None:
    head = start(ready)
    first = at_work(head)
    head.signal(signal.SIGINT)
    assert head.wait(200) != 0
    again = start(ready)
    second = run_id(again)
    again.succeed()
    check_no_second_writer(first, second)
    finish_like_local(ready)


def test_sigterm_lets_the_jobs_end_and_keeps_their_results(ready: Workspace) -> None:
    head = start(ready)
    first = at_work(head)
    beside = start(ready)  # a second head beside a live one touches nothing
    assert beside.wait(60) == 1
    assert REFUSED in beside.output()
    head.signal(signal.SIGTERM)
    assert head.wait(200) == 1
    assert [job.state for job in jobs(RULE, first)] == ["COMPLETED", "COMPLETED"]
    again = start(ready)
    second = run_id(again)
    again.succeed()
    assert jobs(RULE, second) == []
    finish_like_local(ready)


@pytest.mark.parametrize("at_once", [True, False], ids=["submitting", "running"])
def test_after_sigkill_its_jobs_are_ended_first(
    ready: Workspace, at_once: bool
) -> None:
    head = start(ready)
    if at_once:
        first = run_id(head)
        wait_for(lambda: jobs(name=first), "the first job")
    else:
        first = at_work(head)
    head.signal(signal.SIGKILL)
    head.wait(20)
    again = start(ready)
    second = run_id(again)
    again.succeed()
    assert f"jobs of an earlier run ({first}) are still there" in again.output()
    assert jobs(name=first, live=True) == []
    check_no_second_writer(first, second)
    finish_like_local(ready)


def test_what_ended_well_without_its_head_is_kept(ready: Workspace) -> None:
    head = start(ready)
    first = at_work(head)
    head.signal(signal.SIGKILL)
    head.wait(20)
    wait_for(lambda: not jobs(name=first, live=True), "the orphans' end")
    again = start(ready)
    second = run_id(again)
    again.succeed()
    assert "earlier run" not in again.output()
    assert jobs(RULE, second) == []
    finish_like_local(ready)
