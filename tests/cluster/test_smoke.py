"""The smoke experiment, whole, on the cluster."""

from conftest import Cluster
from slurm import jobs
from workspace import Workspace


def test_corpus(cluster: Cluster, workspace: Workspace) -> None:
    workspace.start("corpus").succeed()
    assert jobs("train_tokenizer")
