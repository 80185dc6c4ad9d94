"""Mistakes that a real SLURM would refuse, or never start, in one line."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone import SNAKEMAKE
from conftest import Cluster
from slurm import jobs, slurm
from workspace import Head, Workspace

RULE = "train_tokenizer"


@pytest.fixture
def no_gpus(cluster: Cluster) -> Iterator[str]:
    """A partition without GPUs."""
    assert cluster.lab
    slurm("scontrol", "create", "partitionname=plain", "nodes=n3,n4")
    yield "plain"
    slurm("scontrol", "delete", "partitionname=plain")


def refused(workspace: Workspace, target: str = "corpus", **profile: Any) -> str:
    """What a run says that ends before its first job, and harms no other."""
    workspace.edit_profile(**profile)
    # Of a job that waits in the queue: without it, SLURM would fail the job.
    logs = workspace.folder / "logs/slurm/other/rule_order_rows/0000"
    logs.mkdir(parents=True, exist_ok=True)
    before = len(jobs())
    head = workspace.start(target)
    assert head.wait(120) == 1, head.tail()
    assert len(jobs()) == before
    assert logs.is_dir()
    return head.output()


def test_names_that_slurm_does_not_know(workspace: Workspace, cluster: Cluster) -> None:
    where = "profiles/slurm/config.yaml: default-resources"
    site = cluster.site
    said = refused(workspace, **{"default-resources": {"slurm_partition": "cpuu"}})
    assert f'{where}.slurm_partition: partition "cpuu" does not exist; did' in said
    wrong = {"slurm_partition": site.cpu, "slurm_account": "nobodys"}
    said = refused(workspace, **{"default-resources": wrong})
    assert f"{where}.slurm_account: " in said
    assert f"yours: {site.account}" in said
    right = {"slurm_account": site.account, "constraint": "unheard_of"}
    said = refused(workspace, **{"default-resources": right})
    assert f"{where}.constraint: no node of partition" in said


def test_gpus_where_there_are_none(workspace: Workspace, no_gpus: str) -> None:
    gpu = {"train_baseline": {"slurm_partition": no_gpus}}
    said = refused(workspace, "heads", **{"set-resources": gpu})
    assert f'slurm_partition: partition "{no_gpus}" has no GPUs; these have: ' in said


def test_more_than_the_partition_has(workspace: Workspace) -> None:
    said = refused(workspace, **{"set-resources": {RULE: {"mem_mb": 10**7}}})
    assert f"set-resources.{RULE}.mem_mb: 10000000 MB, but the largest node" in said
    # SLURM would take this one, and never start it.
    longer = {"mem_mb": 500, "runtime": 10**5}
    said = refused(workspace, **{"set-resources": {RULE: longer}})
    assert f"set-resources.{RULE}.runtime: 100000 minutes, but partition" in said


def test_misspelt_names_in_the_profile(workspace: Workspace) -> None:
    said = refused(workspace, **{"set-resources": {"tokenise_source": {"mem_mb": 1}}})
    assert 'set-resources.tokenise_source: no rule "tokenise_source"; did you' in said


def test_a_folder_that_nodes_do_not_see(make_workspace: Any, cluster: Cluster) -> None:
    """The head has a file system of its own, as a login node has its /tmp."""
    assert cluster.lab
    workspace = make_workspace(retries=0)
    hidden = cluster.scratch / "hidden"
    hidden.mkdir()
    script = (
        'mount -t tmpfs tmpfs "$1" && cp -r "$2" "$1/clone" && cd "$1/clone" && '
        'shift 2 && exec "$@"'
    )
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
    run = [*SNAKEMAKE, "--profile", "profiles/slurm", "corpus"]
    run += ["--configfile", "config/smoke.yaml"]
    arguments = [*command, str(hidden), str(workspace.folder), *run]
    log = Path(workspace.folder) / "hidden.log"
    head = Head(arguments, workspace.folder, log, dict(os.environ))
    assert head.wait(200) == 1
    assert f"does not see {hidden}/clone" in head.output()
    assert subprocess.run(["ls", hidden], capture_output=True).stdout == b""
