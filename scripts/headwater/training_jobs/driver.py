"""What a rule's script does for one training run: train here, or drive a job.

The driver only watches the job, and publishes what it made. So a job outlives its
driver, and the next driver takes it over:

    what happens                          driver                        job
    ------------------------------------  ----------------------------  -----------
    ctrl-C (SIGINT)                       cancels the job, waits, ends  ends
    Snakemake ends, this process does not cancels the job, waits, ends  ends
    SIGTERM, a job of this machine        cancels the job, waits, ends  saves, ends
    SIGTERM, a job of SLURM               ends, publishes nothing       goes on
    Snakemake or this process is killed   ends, publishes nothing       goes on
    the job ends without a result         ends with an error            -
"""

import importlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError
from headwater.job import device, fix_threads
from headwater.locks import is_written
from headwater.logs import logger
from headwater.publish import is_begun, write_json
from headwater.training.spec import JOB, RESULT, SPEC, WRITER, Spec, read_json
from headwater.training_jobs.launch import Launch, read_launch
from headwater.training_jobs.watch import KINDS, TrainingJob

FIRST, MOST = 5.0, 60.0  # seconds between two questions to the controller
LOOK = 1.0  # between two looks at the result
CANCELLING = 300.0  # to wait for a cancelled job to end


class Detached(BaseException):
    """The driver must end and leave the job as it is."""


def drive(
    spec: Spec, resources: Mapping[str, Any], publish: Callable[[Spec], None]
) -> None:
    """Train one run wherever the resources say, and publish it.

    Args:
        resources: of the rule's job, see `launch`.
        publish: makes the outputs of the finished work folder.

    Raises:
        HeadwaterError: resources that make no sense, or a run that failed.
    """
    launch = read_launch(resources, spec.threads, spec.name)
    if launch.partition is None and launch.ranks == 1:
        _train_here(spec)
    else:
        _train_elsewhere(spec, launch)
    publish(spec)
    shutil.rmtree(spec.folder, ignore_errors=True)


def _train_here(spec: Spec) -> None:
    job = _known_job(spec)
    if job is not None and job.state():
        raise HeadwaterError(
            f"{spec.target}: {job} is training it; run with the profile that started "
            "it, or cancel it"
        )
    from headwater.training.run import saved_at_sigterm  # imports torch

    fix_threads(spec.threads)
    with saved_at_sigterm() as ranks:
        importlib.import_module(spec.module).train(spec, ranks, str(device()))


def _train_elsewhere(spec: Spec, launch: Launch) -> None:
    main = MainProcess(spec.config["experiment"])
    with suppress(ValueError):  # not the main thread, as in a test
        signal.signal(signal.SIGTERM, _detach if launch.partition else _interrupt)
    job = _known_job(spec)
    if job is not None and _is_finished(spec, job):
        logger.info("%s: %s has trained it", spec.name, job)
        return
    try:
        job = _taken_over(spec, job) or _submit(spec, launch)
        error = _result(spec, job, main)
    except Detached as reason:
        logger.info("%s: %s; its job goes on", spec.name, reason)
        sys.exit(1)
    except KeyboardInterrupt:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # it is being done
        job = _known_job(spec)
        if job is not None:
            _cancel(job)
        sys.exit(1)
    if error:
        if launch.partition is None:  # ranks that are left wait for those that failed
            with suppress(HeadwaterError):
                _cancel(job)
        raise HeadwaterError(f"{error}  (log: {spec.training_log})")


def _detach(number: int, frame: object) -> None:
    raise Detached("asked to end")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


class MainProcess:
    """The Snakemake process that waits for this driver.

    Args:
        experiment: whose lock it holds, see `headwater.runs`.
    """

    def __init__(self, experiment: str) -> None:
        self._parent = os.getppid()
        self._results = Path("results") / experiment
        self._held = is_written(self._results)

    def check(self) -> None:
        """See that it still waits.

        Raises:
            Detached: it was killed.
            KeyboardInterrupt: it lives, and has ended its run.
        """
        if os.getppid() != self._parent:
            raise Detached("Snakemake is gone")
        if self._held and not is_written(self._results):
            time.sleep(LOOK)  # a killed parent lets go of its lock first
            if os.getppid() != self._parent:
                raise Detached("Snakemake is gone")
            raise KeyboardInterrupt


def _known_job(spec: Spec) -> TrainingJob | None:
    """The job that works in a run's folder, or else that was last submitted for it."""
    notes = [read_json(spec.folder / name) for name in (WRITER, JOB)]
    jobs = [TrainingJob(**note) for note in notes if note]
    return next((job for job in jobs if job.state()), jobs[-1] if jobs else None)


def _is_finished(spec: Spec, job: TrainingJob) -> bool:
    result = read_json(spec.folder / RESULT)
    well = result == {"job": job.id, "error": None}
    return well and is_begun(Path(spec.target), spec.begun_with)


def _taken_over(spec: Spec, job: TrainingJob | None) -> TrainingJob | None:
    """The job, if it is at work for this run.

    One that has failed and is not gone yet, or of another config, is cancelled.
    """
    if job is None or not job.state():
        return None
    found = read_json(spec.folder / SPEC) or {}
    same = all(found.get(key) == getattr(spec, key) for key in ("identity", "made_of"))
    ended = (read_json(spec.folder / RESULT) or {}).get("job") == job.id
    if ended or not same:
        _cancel(job)
        return None
    logger.info("%s: %s goes on; waiting for it", spec.name, job)
    return job


def _submit(spec: Spec, launch: Launch) -> TrainingJob:
    from headwater.training_jobs.worker import Training

    kind = "local" if launch.partition is None else "slurm"
    waiting: list[int] = []
    before = _defer(waiting)
    try:  # an interruption between the two would lose sight of the job
        (spec.folder / RESULT).unlink(missing_ok=True)
        name = KINDS[kind].submit(spec, launch, Training())
        job = TrainingJob(kind, name, os.uname().nodename)
        write_json(spec.folder / JOB, asdict(job))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logger.info("%s: %s; its log: %s", spec.name, job, spec.training_log)
    for each in waiting:
        signal.raise_signal(each)
    return job


def _defer(waiting: list[int]) -> dict[signal.Signals, Any]:
    """Only note SIGINT and SIGTERM from now on; returns the handlers before.

    What is ignored stays so, for the job inherits that.
    """
    before: dict[signal.Signals, Any] = {}
    with suppress(ValueError):
        for each in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(each) is not signal.SIG_IGN:
                before[each] = signal.signal(each, lambda n, _: waiting.append(n))
    return before


def _result(spec: Spec, job: TrainingJob, main: MainProcess) -> str | None:
    """Wait for a job's end; what went wrong, or None."""
    told, ended, pause, ask = "", 0, FIRST, 0.0
    while True:
        result = read_json(spec.folder / RESULT)
        if result and result["job"] == job.id:
            error: str | None = result["error"]
            return error
        main.check()
        if time.monotonic() >= ask:
            now = job.state()
            if now is not None and now != told:
                logger.info("%s: %s %s", spec.name, job, now)
            told, ended = now or told, 0 if now else ended + 1
            if ended > 1:  # the second time, its result had time to appear
                return _lost(spec, job)
            ask = time.monotonic() + pause
            pause = min(pause * 1.5, MOST) if now else FIRST
        time.sleep(LOOK)


def _lost(spec: Spec, job: TrainingJob) -> str:
    outputs = sorted((spec.folder / "submitit").glob(f"{job.id}_*_log.out"))
    lines = [
        line
        for path in outputs
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    last = next((line.strip() for line in reversed(lines) if line.strip()), None)
    said = f"its last words: {last}" if last else "before it began: was it cancelled?"
    return (
        f"{spec.name}: {job} ended without a result, {said}; the run goes on from its "
        "last saved state when it is started again"
    )


def _cancel(job: TrainingJob) -> None:
    """End a job, and wait until it is gone."""
    if not job.state():
        return
    logger.info("cancelling %s", job)
    KINDS[job.kind].cancel(job.id)
    limit = time.monotonic() + CANCELLING
    while job.state():
        if time.monotonic() > limit:
            raise HeadwaterError(f"{job} does not end; cancel it, then run again")
        time.sleep(LOOK)
    logger.info("%s is gone", job)
