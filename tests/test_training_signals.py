"""What a training job does with its signals, and with lives that come to nothing."""

import os
import signal
import sys

import pytest

import training_example
from headwater.checkpoints.files import load_state
from headwater.errors import HeadwaterError
from headwater.training import run
from headwater.training.ranks import Ranks
from headwater.training.run import RESUME, Stopped, saved_at_sigterm, train_run
from headwater.training.spec import RESULT, Spec, read_json
from headwater.training_jobs import worker
from headwater.training_jobs.worker import FRUITLESS, Training
from test_checkpoints import (
    CONFIG,
    RECIPE,
    SCHEDULE,
    STAMP,
    Killed,
    a_run,
    batch,
    do,
    model_of_seed,
)
from test_corpus_support import folder_bytes

STEP = 2  # at whose beginning the signal comes; no checkpoint is due at its end


@pytest.fixture(autouse=True)
def _same_handlers():
    known = (signal.SIGTERM, signal.SIGUSR2)
    before = [(number, signal.getsignal(number)) for number in known]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def train_with(
    folder,
    number: signal.Signals,
    killed_at: int | None = None,
    cluster: str = "slurm",
) -> None:
    """Train with a signal to this process at `STEP`, as SLURM would send it."""
    ranks = Ranks()
    worker._listen(ranks, cluster)

    def watched(step: int):
        if step == STEP:
            os.kill(os.getpid(), number)
        if step == killed_at:
            raise Killed
        return batch(step)

    what = a_run(folder, keep_optimizer=True)
    train_run(what, model_of_seed(), RECIPE, watched, CONFIG, ranks)


def test_sigterm_saves_at_the_end_of_the_step_and_trains_on(tmp_path):
    assert STEP + 1 not in SCHEDULE
    assert STEP + 2 in SCHEDULE
    do(tmp_path / "calm", True)
    with pytest.raises(Killed):  # it gets one step further, and no second state
        train_with(tmp_path / "run", signal.SIGTERM, killed_at=STEP + 1)
    assert load_state(tmp_path / "run" / RESUME, CONFIG).step == STEP + 1
    do(tmp_path / "run", True)
    assert folder_bytes(tmp_path / "run") == folder_bytes(tmp_path / "calm")


def test_sigterm_saves_once(tmp_path, monkeypatch):
    saved, save = [], run.save_checkpoint

    def noted(folder, *arguments, **options):
        saved.append(folder.name)
        save(folder, *arguments, **options)

    monkeypatch.setattr(run, "save_checkpoint", noted)
    train_with(tmp_path, signal.SIGTERM)
    assert saved == ["step0", "step1", "step2", RESUME, "step4", "step6"]


def test_a_cancelled_run_of_this_machine_saves_and_stops(tmp_path):
    do(tmp_path / "calm", True)
    with pytest.raises(Stopped):
        train_with(tmp_path / "run", signal.SIGTERM, cluster="local")
    assert load_state(tmp_path / "run" / RESUME, CONFIG).step == STEP + 1
    do(tmp_path / "run", True)
    assert folder_bytes(tmp_path / "run") == folder_bytes(tmp_path / "calm")


def test_a_run_in_its_rules_process_saves_and_dies_of_sigterm(tmp_path):
    died, before = [], signal.signal(signal.SIGTERM, lambda *_: died.append(1))

    def watched(step: int):
        if step == STEP:
            signal.raise_signal(signal.SIGTERM)
        return batch(step)

    what = a_run(tmp_path / "run", keep_optimizer=True)
    with saved_at_sigterm() as ranks:
        train_run(what, model_of_seed(), RECIPE, watched, CONFIG, ranks)
    signal.signal(signal.SIGTERM, before)
    assert died == [1]
    assert load_state(tmp_path / "run" / RESUME, CONFIG).step == STEP + 1
    do(tmp_path / "calm", True)
    do(tmp_path / "run", True)
    assert folder_bytes(tmp_path / "run") == folder_bytes(tmp_path / "calm")


def test_the_time_limits_signal_saves_and_stops(tmp_path):
    do(tmp_path / "calm", True)
    with pytest.raises(Stopped):
        train_with(tmp_path / "run", signal.SIGUSR2)
    assert load_state(tmp_path / "run" / RESUME, CONFIG).step == STEP + 1
    do(tmp_path / "run", True)
    assert folder_bytes(tmp_path / "run") == folder_bytes(tmp_path / "calm")


@pytest.fixture
def spec(tmp_path, monkeypatch) -> Spec:
    """A run whose only rank is this process, as submitit would have it."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("JOB_ID", "7"), ("NTASKS", "1"), ("GLOBALID", "0")):
        monkeypatch.setenv(f"SUBMITIT_LOCAL_{name}", value)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    monkeypatch.setattr(worker, "configure_logging", lambda *_, **__: None)
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


def test_lives_that_end_before_the_training_begins_are_counted(spec, monkeypatch):
    """submitit asks for the next life when the signal comes; the last is refused."""
    path, training = str(spec.write()), Training()

    def too_late(self: Training, *_: object) -> bool:
        self.checkpoint(path)
        sys.exit(-1)

    monkeypatch.setattr(Training, "_train", too_late)
    for _ in range(FRUITLESS):
        with pytest.raises(SystemExit):
            training(path)
        assert read_json(spec.folder / RESULT) is None
    with pytest.raises(SystemExit):
        training(path)
    told = "3 times the time limit came before the first step; raise the rule's runtime"
    assert read_json(spec.folder / RESULT)["error"].startswith(told)


def test_a_life_that_trains_ends_the_count(spec):
    training = Training()
    training.fruitless = FRUITLESS
    training(str(spec.write()))
    assert read_json(spec.folder / RESULT) == {"job": "7", "error": None}
    for _ in range(FRUITLESS):
        training.checkpoint()
    with pytest.raises(HeadwaterError, match="before the first step"):
        training.checkpoint()
