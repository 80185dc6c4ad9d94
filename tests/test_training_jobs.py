"""Training runs as jobs: resources, several ranks on this machine, their driver."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import training_example
from headwater.errors import HeadwaterError
from headwater.imports import ROOT
from headwater.publish import part_of
from headwater.training.spec import JOB, RESULT, WRITER, Spec, read_spec
from headwater.training_jobs import driver, local, slurm
from headwater.training_jobs.driver import drive
from headwater.training_jobs.launch import Launch, read_launch
from headwater.training_jobs.watch import TrainingJob
from test_checkpoints import CONFIG, STAMP
from test_corpus_support import folder_bytes
from training_example import publish

HERE = Path(__file__).resolve().parent
TWO = {"tasks": 2, "gpu": 1}


@pytest.fixture
def spec(tmp_path, monkeypatch) -> Spec:
    """A run in a folder of its own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr(driver, "FIRST", 0.5)
    monkeypatch.setattr(driver, "LOOK", 0.1)
    return Spec(
        module=training_example.__name__,
        name="example",
        target="results/test/example",
        log="logs/test/example.log",
        threads=1,
        inputs={},
        config={**CONFIG, "experiment": "test"},
        identity=STAMP,
        options={},
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    """What two ranks leave that nothing befell."""
    folder = tmp_path_factory.mktemp("undisturbed")
    # A driver of its own: it must not import torch, and needs no Snakemake.
    run_driver(folder, TWO).check_returncode()
    return folder_bytes(folder / "results/test/example")


DRIVER = """
import json, os, signal, sys
from headwater.logs import configure_logging
from headwater.training_jobs import driver
from headwater.training.spec import Spec
driver.FIRST, driver.LOOK = 0.5, 0.1

def publish(spec):
    from headwater.publish import exclusive, publish_work
    from pathlib import Path
    assert "torch" not in sys.modules
    with exclusive(Path(spec.target)):
        publish_work(Path(spec.target))

signal.signal(signal.SIGINT, signal.default_int_handler)
spec = Spec(**json.loads(sys.argv[1]))
configure_logging(None)
driver.drive(spec, json.loads(sys.argv[2]), publish)
"""


def driver_command(resources: dict, **changes: object) -> list[str]:
    spec = {
        "module": "training_example",
        "name": "example",
        "target": "results/test/example",
        "log": "logs/test/example.log",
        "threads": 1,
        "inputs": {},
        "config": {**CONFIG, "experiment": "test"},
        "identity": STAMP,
        "options": {},
        **changes,
    }
    words = [json.dumps(spec), json.dumps(resources)]
    return [sys.executable, "-c", DRIVER, *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}


class Driver(subprocess.Popen):
    """A driver in the background. Its job outlives it, so no pipe may join them."""

    def __init__(
        self, folder: Path, resources: dict | None = None, **changes: object
    ) -> None:
        self.path = folder / f"driver-{time.monotonic()}.txt"
        with self.path.open("w") as output:
            super().__init__(
                driver_command(resources or TWO, **changes),
                cwd=folder,
                env=environment(),
                stderr=output,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.path.read_text()


def run_driver(folder: Path, resources: dict, **changes: object):
    """Run a driver to its end; exit code and stderr."""
    process = Driver(folder, resources, **changes)
    try:
        code = process.wait(90)
    finally:
        process.kill()
    return subprocess.CompletedProcess((), code, stderr=process.said())


def until(found, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def job_of(folder: Path) -> TrainingJob:
    return TrainingJob(
        **json.loads((folder / "results/test/example.job" / JOB).read_text())
    )


def ranks_of(controller: str) -> list[int]:
    """Process ids of the ranks, in order."""
    command = ["ps", "-o", "pid=", "--ppid", controller]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    return sorted(int(word) for word in output.split())


@pytest.fixture
def begun(tmp_path):
    """A driver whose ranks wait at step 7 for a file; driver, job and the file."""
    go = tmp_path / "go"
    process = Driver(tmp_path, options={"waits_for": str(go)})
    part = tmp_path / "results/test/example.part"
    until((part / "step5/trainer.json").exists)
    job = job_of(tmp_path)
    yield process, job, go
    process.kill()
    process.wait()
    local.cancel(job.id)
    until(lambda: not job.state())


# Resources


def launch(**resources: object) -> Launch:
    return read_launch(resources, 3, "train_baseline")


def test_without_a_partition_a_run_is_here():
    found = launch(gpu=1, mem_mb=4000, runtime=90, tmpdir="/tmp")
    assert found == Launch(None, 1, 1, 3, 1, 4000, 90, {"gpus-per-node": 1})


def test_gpus_and_tasks_become_ranks_on_nodes():
    found = launch(slurm_partition="gpu", gpu=4, nodes=2, mem_mb=1000)
    assert (found.ranks, found.per_node, found.gpus) == (4, 2, 2)
    assert found.mem_mb == 2000
    assert found.flags == {"gpus-per-node": 2}
    assert launch(slurm_partition="gpu", gpu=4, tasks=1).ranks == 1
    assert launch(tasks_per_node=2).ranks == 2
    assert launch(slurm_partition="cpu", gpu=0, nodes=3).ranks == 3


def test_gres_stands_for_the_gpus_of_a_node():
    found = launch(slurm_partition="gpu", gpu=0, gres="gpu:a100:2", nodes=2)
    assert (found.ranks, found.gpus) == (4, 2)
    assert found.flags == {"gres": "gpu:a100:2"}


def test_what_a_site_needs_is_handed_on():
    found = launch(
        slurm_partition="gpu",
        slurm_account="physics",
        qos="long",
        constraint="a100",
        gpu=2,
        gpu_model="a100",
        slurm_extra="--exclude=n7 --exclusive '--mail-user=a b'",
    )
    assert found.flags == {
        "account": "physics",
        "qos": "long",
        "constraint": "a100",
        "gpus-per-node": "a100:2",
        "exclude": "n7",
        "exclusive": True,
        "mail-user": "a b",
    }


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"nodes": 2}, "nodes=2 without slurm_partition"),
        ({"tasks": "two"}, "resource tasks is 'two', not a whole number"),
        ({"mem_mb": -1}, "resource mem_mb is -1"),
        ({"nodes": 2, "tasks": 3}, "tasks=3 cannot be shared by nodes=2"),
        ({"nodes": 2, "gpu": 3}, "gpu=3 cannot be shared by nodes=2"),
        ({"tasks": 3, "tasks_per_node": 2}, "tasks=3 is not tasks_per_node=2"),
        ({"slurm_extra": "-p x"}, "'-p': write every flag as --name=value"),
        ({"slurm_extra": "--time=5"}, "slurm_extra --time is not free"),
        ({"slurm_extra": "--exclude='n1"}, "No closing quotation"),
    ],
)
def test_resources_that_make_no_sense_are_one_line(resources, told):
    where = {} if "without" in told else {"slurm_partition": "cpu"}
    with pytest.raises(HeadwaterError) as caught:
        launch(**where, **resources)
    assert str(caught.value).startswith("train_baseline: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


# One process


def test_one_rank_trains_in_the_process_itself(spec, undisturbed):
    drive(spec, {"gpu": 1}, publish)
    target = Path(spec.target)
    assert sorted(path.name for path in target.iterdir()) == [
        "step0",
        "step10",
        "step5",
    ]
    assert not spec.folder.exists()
    assert not part_of(target).exists()
    assert folder_bytes(target).keys() == undisturbed.keys()


def test_a_run_that_a_job_trains_is_not_trained_here(spec, monkeypatch):
    spec.write()
    text = json.dumps(asdict(TrainingJob("slurm", "12", "here")))
    (spec.folder / JOB).write_text(text)
    monkeypatch.setattr(slurm, "state", lambda job: "PENDING (Priority)")
    with pytest.raises(HeadwaterError, match="SLURM job 12 is training it"):
        drive(spec, {}, publish)


# Several ranks


@pytest.mark.long
def test_two_ranks_leave_what_one_does_and_their_log(tmp_path, undisturbed):
    done = run_driver(tmp_path, TWO)
    assert done.returncode == 0, done.stderr
    assert folder_bytes(tmp_path / "results/test/example") == undisturbed
    assert not (tmp_path / "results/test/example.job").exists()
    log = (tmp_path / "logs/test/example.training.log").read_text()
    assert log.count("example: 10/10 steps") == 1
    assert log.count("example: trained") == 1
    assert "process " in done.stderr


@pytest.mark.long
def test_the_error_of_a_rank_is_the_drivers(tmp_path):
    done = run_driver(tmp_path, TWO, options={"fails_at": 6})
    assert done.returncode == 1
    assert "HeadwaterError: a.zarr: row 7: broken; mend it  (log: logs/test" in (
        done.stderr
    )
    assert not (tmp_path / "results/test/example").exists()
    done = run_driver(tmp_path, TWO)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "logs/test/example.training.log").read_text()
    assert "resuming from step5" in log


@pytest.mark.long
def test_a_killed_rank_ends_the_run_and_it_goes_on(tmp_path, begun, undisturbed):
    process, job, go = begun
    os.kill(ranks_of(job.id)[1], signal.SIGKILL)
    go.touch()
    assert process.wait(60) == 1
    assert "goes on from its last saved state" in process.said()
    done = run_driver(tmp_path, TWO, options={"waits_for": str(go)})
    assert done.returncode == 0, done.stderr
    assert folder_bytes(tmp_path / "results/test/example") == undisturbed


@pytest.mark.long
def test_a_signal_saves_all_and_starts_all_anew(tmp_path, begun, undisturbed):
    process, job, go = begun
    for rank in ranks_of(job.id):
        os.kill(rank, signal.SIGUSR2)
    time.sleep(0.2)
    go.touch()
    assert process.wait(90) == 0, process.said()
    log = (tmp_path / "logs/test/example.training.log").read_text()
    assert "example: stopped, and saved" in log
    assert "resuming from resume" in log
    assert folder_bytes(tmp_path / "results/test/example") == undisturbed


@pytest.mark.long
def test_the_next_driver_takes_a_job_over(tmp_path, begun, undisturbed):
    process, job, go = begun
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert job.state()
    second = Driver(tmp_path, options={"waits_for": str(go)})
    until(lambda: f"process {job.id} goes on; waiting for it" in second.said())
    go.touch()
    assert second.wait(60) == 0, second.said()
    assert folder_bytes(tmp_path / "results/test/example") == undisturbed


@pytest.mark.long
def test_a_job_that_ended_meanwhile_is_published_at_once(tmp_path, begun, undisturbed):
    process, job, go = begun
    process.kill()
    go.touch()
    until(lambda: not job.state())
    done = run_driver(tmp_path, {"slurm_partition": "gone"})
    assert done.returncode == 0, done.stderr
    assert f"process {job.id} has trained it" in done.stderr
    assert folder_bytes(tmp_path / "results/test/example") == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_driver_cancels_the_job(tmp_path, begun, number):
    process, job, _ = begun
    process.send_signal(number)
    assert process.wait(60) == 1
    assert f"process {job.id} is gone" in process.said()
    assert not job.state()
    assert (tmp_path / "results/test/example.part/step5").exists()


@pytest.mark.long
def test_a_job_of_another_config_is_cancelled(tmp_path, begun):
    _, job, _ = begun
    (tmp_path / "results/test/example.job/spec.json").write_text('{"identity": {}}')
    done = run_driver(tmp_path, TWO)
    assert f"cancelling process {job.id}" in done.stderr
    assert not job.state()
    assert done.returncode == 0


# The main process


def test_a_driver_whose_main_process_has_ended_its_run_cancels(spec, monkeypatch):
    lock = Path("results/.test.lock")
    lock.parent.mkdir()
    handle = lock.open("w")
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)
    main = driver.MainProcess("test")
    main.check()
    handle.close()
    with pytest.raises(KeyboardInterrupt):
        main.check()
    monkeypatch.setattr(os, "getppid", lambda: -1)
    with pytest.raises(driver.Detached, match="Snakemake is gone"):
        main.check()


def test_without_a_lock_only_the_parent_counts(spec, monkeypatch):
    main = driver.MainProcess("test")
    main.check()
    monkeypatch.setattr(os, "getppid", lambda: -1)
    with pytest.raises(driver.Detached):
        main.check()


# SLURM, without one


def fake(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder of commands that come before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    fake(folder, "srun", "exit 1")
    return folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("echo 'PENDING (Priority)'", "PENDING (Priority)"),
        ("echo 'COMPLETING (None)'", "COMPLETING"),
        ("echo 'CANCELLED (None)'", None),
        ("true", None),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", None),
        ("echo 'Unable to contact' >&2; exit 1", "no answer (Unable to contact)"),
    ],
)
def test_the_state_of_a_job_is_what_squeue_says(commands, text, found):
    fake(commands, "squeue", text)
    assert slurm.state("7") == found


def test_a_job_is_submitted_with_what_the_resources_say(commands, spec, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "5")
    monkeypatch.setenv("SLURM_CONF", "/elsewhere/slurm.conf")
    fake(commands, "sbatch", 'env > seen.txt; cp "$1" seen.sh; echo submitted job 31')
    asked = {"slurm_partition": "gpu", "nodes": 2, "gpu": 4, "mem_mb": 900}
    found = read_launch({**asked, "runtime": 120, "slurm_account": "us"}, 3, "x")
    assert slurm.submit(spec, found, print) == "31"
    lines = Path("seen.sh").read_text().splitlines()
    wanted = (
        *("job-name=headwater-test-example", "comment=example"),
        *("partition=gpu", "nodes=2", "ntasks-per-node=2", "cpus-per-task=3"),
        *("gpus-per-node=2", "mem=1800MB", "time=120", "account=us", "requeue"),
        *("signal=USR2@300", "open-mode=append"),
    )
    for flag in wanted:
        assert f"#SBATCH --{flag}" in lines
    assert not [line for line in lines if "wckey" in line]
    (start,) = [line for line in lines if line.startswith("srun")]
    assert "--cpus-per-task=3 --kill-on-bad-exit=1 --wait=0" in start
    environment = Path("seen.txt").read_text()
    assert "SLURM_MEM_PER_CPU" not in environment
    assert "SLURM_CONF=/elsewhere/slurm.conf" in environment
    assert read_spec(spec.folder / "spec.json") == spec


def test_a_refusal_of_sbatch_is_one_line(commands, spec):
    error = "sbatch: error: invalid partition specified: gpux"
    fake(commands, "sbatch", f"echo '{error}' >&2; exit 1")
    with pytest.raises(HeadwaterError) as caught:
        drive(spec, {"slurm_partition": "gpux"}, publish)
    assert str(caught.value) == (
        "example: the job was not submitted (invalid partition specified: gpux); see "
        "partition, account and resources of its rule in the profile"
    )


def test_a_job_that_dies_silently_is_told_with_its_last_words(
    commands, spec, monkeypatch
):
    monkeypatch.setattr(driver, "FIRST", 0.2)
    out = spec.folder / "submitit" / "31_0_log.out"
    fake(commands, "sbatch", f"echo 'oom-kill\n' > {out}; echo submitted job 31")
    fake(commands, "squeue", "true")
    with pytest.raises(HeadwaterError) as caught:
        drive(spec, {"slurm_partition": "gpu"}, publish)
    assert str(caught.value).startswith(
        "example: SLURM job 31 ended without a result, its last words: oom-kill; the "
        "run goes on from its last saved state"
    )


def test_a_job_that_is_cancelled_while_it_waits_is_told(commands, spec, monkeypatch):
    monkeypatch.setattr(driver, "FIRST", 0.2)
    fake(commands, "sbatch", "echo submitted job 31")
    fake(commands, "squeue", "true")
    with pytest.raises(HeadwaterError, match=r"31 ended .* before it began: was it"):
        drive(spec, {"slurm_partition": "gpu"}, publish)


def test_a_result_of_another_job_does_not_count(commands, spec, monkeypatch):
    monkeypatch.setattr(driver, "FIRST", 0.2)
    spec.write()
    fake(commands, "sbatch", "echo submitted job 31")
    write = f'echo \'{{"job": "30", "error": null}}\' > {spec.folder / RESULT}'
    fake(commands, "squeue", write)
    with pytest.raises(HeadwaterError, match="31 ended without a result"):
        drive(spec, {"slurm_partition": "gpu"}, publish)


def test_the_job_at_work_is_known_without_the_drivers_note(spec):
    spec.write()
    text = json.dumps(asdict(TrainingJob("slurm", "12", "here")))
    (spec.folder / WRITER).write_text(text)
    assert driver._known_job(spec) == TrainingJob("slurm", "12", "here")


def test_a_process_on_another_machine_is_not_guessed_at():
    with pytest.raises(HeadwaterError, match="process 7 on elsewhere may still"):
        TrainingJob("local", "7", "elsewhere").state()


def test_an_ordinary_process_is_no_job():
    assert local.state(str(os.getpid())) is None


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 15), (4, 60), (600, 300)])
def test_the_signal_comes_in_time(minutes, seconds):
    assert slurm.signal_seconds(minutes) == seconds


def test_a_specification_comes_back(spec):
    other = replace(spec, inputs={"rows": ["a", "b"]}, options={"arm": "x", "draw": 0})
    assert read_spec(other.write()) == other
    assert other.training_log == Path("logs/test/example.training.log")
