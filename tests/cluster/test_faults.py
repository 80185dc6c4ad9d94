"""Whatever breaks while an experiment runs, it ends with the bytes of a calm run.

One run meets one trouble after the other; then every test asks about one of them.
"""

import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clone import contents
from conftest import Cluster
from lab.cluster import Lab
from slurm import (
    TrainingJob,
    describe,
    lives,
    set_node,
    slurm,
    submit,
    wait_for,
)
from slurm_site import Site
from workspace import Head, Workspace

TARGETS = [
    "results/faults/influence/induction.tsv",
    "results/faults/influence/previous_token.tsv",
]
# So wide a model that a shard is written in several pieces.
CHANGES = {
    "model": {"hidden_size": 128, "num_attention_heads": 4},
    "training": {"batch_size": 124},
    "gradients": {"bits": 8},
}
BATCH = 32
HALF = 992  # of a shard's 1,984 rows
RESUMED = "resuming at row "
FAILURES = 2
FAILING_SBATCH = """#!/bin/sh
# Refuses the first submissions of fit_factors; else it is the real one.
case "$*" in *rule_fit_factors*)
    if [ "$(wc -l <{count})" -lt {failures} ]; then
        echo refused >>{count}
        echo "sbatch: error: Batch job submission failed: Socket timed out" >&2
        exit 1
    fi ;;
esac
exec {sbatch} "$@"
"""


@dataclass
class Story:
    """What happened: the clones, the head, and the jobs that troubles befell."""

    workspace: Workspace
    calm: Workspace
    head: Head
    refusals: Path
    befallen: dict[str, TrainingJob] = field(default_factory=dict)
    kept: int = 0  # rows that the pre-empted job had written


@pytest.fixture(scope="module")
def story(cluster: Cluster) -> Story:
    """The run in trouble, beside a calm one on this machine."""
    lab = cluster.lab
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=cluster.scratch))
    workspace = prepared(folder / "clone", cluster)
    calm = workspace.copy(folder / "calm")
    refusals = failing_sbatch(folder / "bin")
    path = f"{refusals.parent}:{os.environ['PATH']}"
    head = workspace.start(*TARGETS, config="config/faults.yaml", PATH=path)
    told = Story(workspace, calm, head, refusals)
    cancel_a_job(told)
    beside = calm.start_locally(*TARGETS, config="config/faults.yaml")
    hang_a_job(told, lab)
    lose_a_node(told, lab)
    pause_the_controller(lab)
    preempt_a_job(told, lab)
    head.succeed()
    beside.succeed()
    return told


def prepared(folder: Path, cluster: Cluster) -> Workspace:
    """A clone with the checkpoints, made here: they are not what is to be tested."""
    workspace = Workspace.new(
        folder, cluster.site, set_resources=resources(cluster.site)
    )
    config = workspace.config("faults", **CHANGES)
    workspace.start_locally("heads", config=config).succeed()
    return workspace


def resources(site: Site) -> dict[str, dict[str, str | int]]:
    """The first attempt of one job has too little time, of another too little memory.

    The long jobs take most of a node's memory, so that each has its own.
    """
    first = "attempt == 1 and wildcards"
    return {
        "probe_gradient": {
            "mem_mb": f"450 if {first}.target == 'previous_token' else 2000",
            "runtime": "10 if attempt == 1 else 10**6",  # longer than any job may be
        },
        "row_gradients": {
            "runtime": f"1 if {first}.shard == '0000' else 60",
            "mem_mb": 40000,
            "gpu": 0,
            "slurm_partition": f"'{site.preempt}' if wildcards.shard == '0001' else "
            f"'{site.cpu}'",
        },
    }


def failing_sbatch(folder: Path) -> Path:
    """Put an sbatch that fails into a folder; the file that counts how often."""
    folder.mkdir()
    count, real = folder / "count", shutil.which("sbatch")
    count.touch()
    wrapper = folder / "sbatch"
    wrapper.write_text(
        FAILING_SBATCH.format(count=count, failures=FAILURES, sbatch=real)
    )
    wrapper.chmod(0o755)
    return count


def cancel_a_job(story: Story) -> None:
    job = story.head.running("probe_gradient", "induction")
    slurm("scancel", job.number)
    story.befallen["cancelled"] = job


def written(story: Story, shard: str) -> int:
    """How many rows of a shard its job has written."""
    folder = story.workspace.folder / "results/faults/gradients/start"
    mark = folder / f"{shard}.zarr.part/written"
    return int(mark.read_text()) if mark.exists() else 0


def log_of(story: Story, shard: str) -> str:
    name = f"logs/faults/gradients/row_gradients-start-{shard}.log"
    path = story.workspace.folder / name
    return path.read_text() if path.exists() else ""


def hang_a_job(story: Story, lab: Lab) -> None:
    """Stop a job with half its rows written, until its time is over."""
    job = story.head.running("row_gradients", "0000")
    lab.freeze(job.number, when=lambda: written(story, "0000") >= HALF)
    assert written(story, "0000") >= HALF, "the job ended before it could hang"
    story.befallen["hung"] = job


def lose_a_node(story: Story, lab: Lab) -> None:
    job = story.head.running("row_gradients", "0001")
    lab.crash(job.node)
    set_node(job.node, "down")  # sooner than SLURM would find out
    story.befallen["lost"] = job


def pause_the_controller(lab: Lab) -> None:
    lab.stop_controller()
    time.sleep(30)
    lab.start_controller()


def preempt_a_job(story: Story, lab: Lab) -> None:
    """Send an important job to the node of one of low priority that is at work.

    The latter is stopped, so that it does not end before; SLURM's first signal is one
    to go on, so that it works when the second comes.
    """
    before = written(story, "0001")  # by its first life

    def at_work() -> bool:
        return written(story, "0001") > before or RESUMED in log_of(story, "0001")

    job = story.head.running("row_gradients", "0001")
    lab.freeze(job.number, when=at_work)
    story.kept = written(story, "0001")
    assert story.kept, "the job ended before it could be pre-empted"
    important = ["-p", "cpu", "-w", job.node, "--exclusive", "--wrap", "sleep 1"]
    submit(story.workspace.site.account, *important)
    wait_for(lambda: not still(job), "pre-emption")
    story.befallen["preempted"] = job


def still(job: TrainingJob) -> bool:
    return describe(job.number)["JobState"] == "RUNNING"


def test_results_are_those_of_a_calm_run(story: Story) -> None:
    ours = contents(story.workspace.folder, "faults")
    calm = contents(story.calm.folder, "faults")
    assert ours.keys() == calm.keys()
    assert [name for name in ours if ours[name] != calm[name]] == []


def test_a_cancelled_job_is_submitted_again(story: Story) -> None:
    first, second = story.head.jobs("probe_gradient", "induction")
    assert first.number == story.befallen["cancelled"].number
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")


def test_a_job_killed_for_its_memory_gets_more(story: Story) -> None:
    first, second = story.head.jobs("probe_gradient", "previous_token")
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    log = story.workspace.folder / "logs/slurm/faults/rule_probe_gradient"
    told = (log / f"start_previous_token/{first.number}.log").read_text()
    assert "exceeded memory limit" in told
    asked = [describe(job.number)["MinMemoryNode"] for job in (first, second)]
    assert asked == ["450M", "2000M"]


def test_a_later_attempt_asks_for_no_more_than_the_partition_has(story: Story) -> None:
    limits = [
        describe(job.number)["TimeLimit"]
        for job in story.head.jobs("probe_gradient", "previous_token")
    ]
    assert limits == ["00:10:00", "3-00:00:00"]


def test_refused_submissions_are_repeated(story: Story) -> None:
    assert len(story.refusals.read_text().splitlines()) == FAILURES
    (job,) = story.head.jobs("fit_factors")
    assert job.state == "COMPLETED"


def test_a_job_out_of_time_goes_on_where_it_was(story: Story) -> None:
    first, second = story.head.jobs("row_gradients", "0000")
    assert first.number == story.befallen["hung"].number
    assert (first.state, second.state) == ("TIMEOUT", "COMPLETED")
    # A batch before what was written.
    assert HALF * 0.9 < row_of_resumption(story, "0000") < 2 * HALF


def row_of_resumption(story: Story, shard: str) -> int:
    found = re.search(RESUMED + r"(\d+)", log_of(story, shard))
    assert found
    return int(found[1])


def test_a_job_of_a_lost_node_runs_on_another(story: Story) -> None:
    (job,) = story.head.jobs("row_gradients", "0001")
    before = story.befallen["lost"]
    assert job.number == before.number
    assert lives(job.number)[0] == "NODE_FAIL"
    assert story.befallen["preempted"].node != before.node


def test_a_pre_empted_job_is_requeued_and_goes_on_where_it_was(story: Story) -> None:
    """Under its number, so that no attempt is spent; its second life was pre-empted."""
    (job,) = story.head.jobs("row_gradients", "0001")
    assert job.number == story.befallen["preempted"].number
    assert lives(job.number)[1:] == ["REQUEUED", "COMPLETED"]
    assert row_of_resumption(story, "0001") > story.kept - BATCH


def test_a_pause_of_the_controller_costs_nothing(story: Story) -> None:
    """What is done is noticed, and nothing is done twice but what was disturbed."""
    counts = {
        rule: len(story.head.jobs(rule)) for rule in ("solve_ihvp", "row_gradients")
    }
    assert counts == {"solve_ihvp": 2, "row_gradients": 3}
