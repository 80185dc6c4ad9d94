"""The smoke experiment, whole, on the cluster: as on one machine, and as asked for."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from clone import contents
from conftest import Cluster
from slurm import describe, submit_line
from workspace import Head, Workspace

# This site's GPUs are asked for in the other syntax by one rule, as the profile says.
OTHER_SYNTAX = {"fit_factors": {"gpu": 0, "gres": "gpu:1"}}


@dataclass
class Finished:
    """The experiment, run whole on the cluster."""

    workspace: Workspace
    head: Head

    def submitted(self, rule: str) -> tuple[str, dict[str, str]]:
        """Of a rule's first job: the command, and what SLURM knows of it."""
        number = self.head.jobs(rule)[0].number
        return submit_line(number), describe(number)


@pytest.fixture(scope="module")
def finished(cluster: Cluster) -> Finished:
    folder = Path(tempfile.mkdtemp(prefix="smoke-", dir=cluster.scratch))
    workspace = Workspace.new(folder, cluster.site, set_resources=OTHER_SYNTAX)
    head = workspace.start()
    head.succeed(900)
    return Finished(workspace, head)


def test_results_are_those_of_one_machine(finished: Finished, smoke_run: Path) -> None:
    ours, theirs = contents(finished.workspace.folder), contents(smoke_run)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_no_job_was_disturbed(finished: Finished) -> None:
    assert {job.state for job in finished.head.jobs("")} == {"COMPLETED"}


def test_a_job_asks_for_what_its_rule_says(
    cluster: Cluster, finished: Finished
) -> None:
    line, job = finished.submitted("train_tokenizer")
    words = line.split()
    assert words[words.index("-p") + 1] == cluster.site.cpu
    assert words[words.index("-A") + 1] == cluster.site.account
    assert {"--mem", "3000", "--requeue", "--cpus-per-task=1"} <= set(words)
    assert "gpu" not in line.split("--wrap")[0]
    assert (job["Partition"], job["Account"]) == (
        cluster.site.cpu,
        cluster.site.account,
    )
    assert job["Requeue"] == "1"
    assert "gres/gpu" not in job["TRES"]


@pytest.mark.parametrize(
    ("rule", "asked", "other"),
    [
        ("row_gradients", "--gpus=1", "--gres"),
        ("fit_factors", "--gres=gpu:1", "--gpus"),
    ],
)
def test_a_gpu_is_asked_for_in_either_syntax(
    cluster: Cluster, finished: Finished, rule: str, asked: str, other: str
) -> None:
    line, job = finished.submitted(rule)
    options = line.split("--wrap")[0]
    assert asked in options.split()
    assert other not in options
    assert job["Partition"] == cluster.site.gpu
    assert "gres/gpu=1" in job["TRES"]


def test_a_second_run_submits_nothing(finished: Finished) -> None:
    again = finished.workspace.start()
    again.succeed()
    assert "Nothing to be done" in again.output()
