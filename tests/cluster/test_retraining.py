"""Training runs as SLURM jobs: several nodes, and whatever may befall them."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import Cluster
from slurm import describe, jobs, lives, slurm, wait_for
from workspace import Head, Workspace

STEPS = 1500  # of a run that something befalls, about half a minute
SLOW = {
    "training": {"steps": STEPS, "checkpoint_every": STEPS},
    "retraining": {"checkpoint_every": STEPS},
    "window": {"start": 0, "end": STEPS},
}
EARLY = "step64"  # when it is there, the run has begun
TRAINING = {"mem_mb": 900, "runtime": 4, "gpu": 0}


class Run:
    """The baseline of a config in a clone, trained as a job."""

    def __init__(self, workspace: Workspace, config: str) -> None:
        self.workspace, self.config = workspace, config
        self.name = Path(config).stem
        self.folder = workspace.folder / "results" / self.name / "checkpoints"
        self.log = workspace.folder / f"logs/{self.name}/checkpoints/train_baseline.log"
        self.training_log = self.log.with_suffix(".training.log")
        self._others: list[str] = []
        self._others = self.numbers()  # of like runs in other clones

    def start(self) -> Head:
        first = self.folder / "step0"
        target = str(first.relative_to(self.workspace.folder))
        return self.workspace.start(target, config=self.config)

    def number(self) -> str:
        """The job's."""
        return self.numbers()[-1]

    def numbers(self) -> list[str]:
        """Those of all jobs so far."""
        name = f"headwater-{self.name}-baseline"
        found = [job.number for job in jobs(name=name)]
        return [number for number in found if number not in self._others]

    def begun(self) -> str:
        """Wait for it to train; the job's number."""
        early = self.folder / "baseline.part" / EARLY
        wait_for(early.exists, "the training to begin", 120)
        return self.number()

    def weights(self, step: int) -> bytes:
        return (self.folder / f"step{step}/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def prepared(cluster: Cluster) -> Workspace:
    """A clone with a corpus, a short and a long baseline trained on this machine."""
    folder = cluster.scratch / "retraining"
    folder.mkdir()
    workspace = Workspace.new(folder, cluster.site)
    config = workspace.config("slow", **SLOW)
    for name, path in (("slow", config), ("smoke", "config/smoke.yaml")):
        target = f"results/{name}/checkpoints/step0"
        workspace.start_locally(target, config=path).succeed()
    return workspace


@pytest.fixture
def make_run(prepared: Workspace, tmp_path: Path):
    """Copy the clone without its baselines: a run of `config` to start."""

    def make(config: str, profile: dict | None = None, **resources: object) -> Run:
        folder = prepared.folder.parent / f"retraining-{tmp_path.name}"
        workspace = prepared.copy(folder)
        run = Run(workspace, config)
        subprocess.run(["rm", "-rf", run.folder], check=True)
        run.log.unlink()
        training = {"train_baseline": {**TRAINING, **resources}}
        workspace.edit_profile(**{"set-resources": training}, **(profile or {}))
        return run

    return make


def expected(prepared: Workspace, name: str, step: int) -> Path:
    return prepared.folder / f"results/{name}/checkpoints/step{step}/model.safetensors"


def test_two_nodes_train_as_one_process_does(prepared, make_run) -> None:
    run = make_run("config/smoke.yaml", nodes=2, gpu=2)
    run.start().succeed()
    job = describe(run.number())
    assert (job["NumNodes"], job["NumTasks"], job["CPUs/Task"]) == ("2", "2", "1")
    assert "gpu:2" in job["TRES"].replace("gres/gpu=2", "gpu:2")
    found = load_file(run.folder / "step48/model.safetensors")
    alone = load_file(expected(prepared, "smoke", 48))
    for name, values in alone.items():
        torch.testing.assert_close(found[name], values, rtol=0, atol=1e-3)
    losses = [
        json.loads(path.with_name("trainer.json").read_text())["loss"]
        for path in (run.folder / "step48/x", expected(prepared, "smoke", 48))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert not (run.folder / "baseline.job").exists()
    assert "48/48 steps" in run.training_log.read_text()


def test_a_preempted_run_is_requeued_and_ends_with_the_same_bytes(
    cluster: Cluster, prepared, make_run
) -> None:
    if not cluster.site.preempt:
        pytest.skip("no partition whose jobs give way")
    run = make_run("config/slow.yaml", slurm_partition=cluster.site.preempt)
    head = run.start()
    number = run.begun()
    node = describe(number)["NodeList"]
    size = [f"--partition={cluster.site.cpu}", f"--nodelist={node}", "--exclusive"]
    other = ["sbatch", "--parsable", *size, "--time=1", "--wrap=sleep 5"]
    slurm(*other, "--output=/dev/null", f"--account={cluster.site.account}")
    head.succeed()
    assert run.numbers() == [number]
    assert describe(number)["Restarts"] == "1"
    log = run.training_log.read_text()
    assert "resuming from resume" in log
    assert run.weights(STEPS) == expected(prepared, "slow", STEPS).read_bytes()


def test_a_run_out_of_time_is_requeued_and_ends_with_the_same_bytes(
    cluster: Cluster, prepared, make_run
) -> None:
    assert cluster.lab
    run = make_run("config/slow.yaml", runtime=1)
    head = run.start()
    number = run.begun()
    # As if there were much to do; the signal wakes it. None, if that has come already.
    for rank in ranks_of(number).values():
        os.kill(rank, signal.SIGSTOP)
    wait_for(lambda: describe(number)["Restarts"] == "1", "the job to be requeued")
    # Time enough for what is left, so that there are two lives and no third.
    slurm("scontrol", "update", f"jobid={number}", "timelimit=4")
    head.succeed()
    assert run.numbers() == [number]
    assert lives(number) == ["REQUEUED", "COMPLETED"]
    log = run.training_log.read_text()
    assert "stopped, and saved" in log
    assert "resuming from resume" in log
    assert run.weights(STEPS) == expected(prepared, "slow", STEPS).read_bytes()


def test_a_killed_head_leaves_the_job_and_the_next_one_takes_it_over(
    prepared, make_run
) -> None:
    run = make_run("config/slow.yaml")
    head = run.start()
    number = run.begun()
    head.signal(signal.SIGKILL)
    head.wait()
    gone = "Snakemake is gone; its job goes on"
    wait_for(lambda: gone in run.log.read_text(), "the driver to end", 30)
    assert describe(number)["JobState"] == "RUNNING"
    run.start().succeed()
    assert run.numbers() == [number]
    assert f"SLURM job {number} goes on" in run.log.read_text()
    assert "resuming" not in run.training_log.read_text()
    assert run.weights(STEPS) == expected(prepared, "slow", STEPS).read_bytes()


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["ctrl_c", "head_alone"])
def test_an_interrupt_cancels_the_job_and_the_next_run_goes_on(
    prepared, make_run, send
) -> None:
    run = make_run("config/slow.yaml")
    head = run.start()
    number = run.begun()
    send(head.process.pid, signal.SIGINT)
    assert head.wait(120) != 0
    assert describe(number)["JobState"] == "CANCELLED"
    assert not (run.folder / "step0").exists()
    run.start().succeed()
    # SLURM kills a cancelled job some seconds later; it may have trained to its end.
    finished = f"SLURM job {number} has trained it" in run.log.read_text()
    assert len(run.numbers()) == (1 if finished else 2)
    assert finished or "resuming from" in run.training_log.read_text()
    assert run.weights(STEPS) == expected(prepared, "slow", STEPS).read_bytes()


def ranks_of(number: str) -> dict[int, int]:
    """Process id of every rank of a job on this machine, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            words = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"submitit.core._submit" not in command or b"srun" in command:
            continue
        if f"SLURM_JOB_ID={number}".encode() in words:
            ranks = [w for w in words if w.startswith(b"SLURM_PROCID=")]
            steps = [w for w in words if w.startswith(b"SLURM_STEP_ID=")]
            if steps:
                found[int(ranks[0].split(b"=")[1])] = int(folder.name)
    return found


def test_a_killed_rank_ends_the_job_and_the_next_run_goes_on(
    cluster: Cluster, make_run
) -> None:
    assert cluster.lab
    run = make_run("config/slow.yaml", {"retries": 0}, nodes=2, tasks=2)
    head = run.start()
    number = run.begun()
    os.kill(ranks_of(number)[1], signal.SIGKILL)
    start = time.monotonic()
    assert head.wait(120) == 1
    print("ended after", time.monotonic() - start)
    assert "goes on from its last saved state" in head.output()
    assert not jobs(name="headwater-slow-baseline", live=True)
    run.start().succeed()
    assert "resuming from" in run.training_log.read_text()
    assert run.weights(STEPS)
