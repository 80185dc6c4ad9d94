"""What every rank of a training job runs."""

import contextlib
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import submitit

from headwater import job
from headwater.errors import HeadwaterError
from headwater.logs import BUG, configure_logging, logger
from headwater.publish import write_json
from headwater.slurm import SlurmError, call
from headwater.training.spec import RESULT, WRITER, Spec, read_json, read_spec
from headwater.training_jobs.watch import TrainingJob

if TYPE_CHECKING:
    from headwater.training.ranks import Ranks

CANCELLED = "cancelled; it goes on from its saved state when it is started again"
FRUITLESS = 3  # lives in a row that may end before the training has begun


class Training(submitit.helpers.Checkpointable):
    """Callable that submitit starts on every rank, in every life of a job.

    Its only argument is the path of the specification. submitit calls `checkpoint` on
    rank 0 when a job is to be requeued.
    """

    def __init__(self) -> None:
        self.fruitless = 0

    def __call__(self, path: str) -> None:
        """Train; on rank 0, leave the result beside the specification."""
        spec = read_spec(Path(path))
        environment = submitit.JobEnvironment()
        first = environment.global_rank == 0
        configure_logging(spec.training_log if first else None, mode="a")
        requeue: Any = signal.getsignal(signal.SIGUSR2)
        try:
            stopped = self._train(spec, environment)
        except HeadwaterError as error:
            _end(spec, str(error))
        except Exception as error:
            logger.error("%s", traceback.format_exc())
            _end(spec, f"{BUG}{error!r}")
        else:
            if not stopped:
                _end(spec, None)
            elif first:  # SLURM, or submitit, starts all ranks anew
                _requeue(spec, requeue)

    def checkpoint(
        self, *args: Any, **kwargs: Any
    ) -> submitit.helpers.DelayedSubmission:
        """The next life.

        Raises:
            HeadwaterError: too many ended before the training began.
        """
        self.fruitless += 1
        if self.fruitless > FRUITLESS:
            raise HeadwaterError(
                f"{FRUITLESS} times the time limit came before the first step; raise "
                "the rule's runtime in the profile"
            )
        return super().checkpoint(*args, **kwargs)

    def _train(self, spec: Spec, environment: submitit.JobEnvironment) -> bool:
        """Train; whether the run was stopped before its end."""
        import torch

        from headwater.training.ranks import END
        from headwater.training.run import Stopped

        job.fix_threads(spec.threads)
        if environment.global_rank == 0:
            _claim(spec, environment)
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device(
                "cuda", environment.local_rank % torch.cuda.device_count()
            )
            torch.cuda.set_device(device)
        with _joined(environment, device) as ranks:
            _listen(ranks, environment.cluster)
            self.fruitless = 0
            train, stopped = importlib.import_module(spec.module).train, False
            try:
                train(spec, ranks, str(device))
            except Stopped:
                logger.info("%s: stopped, and saved", spec.name)
                stopped = True
        if ranks.agreed == END:
            raise HeadwaterError(CANCELLED)
        return stopped


def _end(spec: Spec, error: str | None) -> None:
    logger.info("%s: %s", spec.name, error or "trained")
    environment = submitit.JobEnvironment()
    if environment.global_rank == 0:
        result = {"job": environment.job_id, "error": error}
        write_json(spec.folder / RESULT, result)
    if error:
        sys.exit(1)


def _requeue(spec: Spec, requeue: Callable[[int, None], None]) -> None:
    try:
        requeue(signal.SIGUSR2, None)
    except (OSError, subprocess.SubprocessError) as error:
        _end(spec, f"{spec.name}: stopped and saved, but not requeued ({error})")


@contextlib.contextmanager
def _joined(environment: submitit.JobEnvironment, device: Any) -> Iterator["Ranks"]:
    from headwater.training.ranks import Group, Ranks

    count = environment.num_tasks
    if count == 1:
        yield Ranks()
        return
    found = submitit.helpers.TorchDistributedEnvironment()
    found.master_addr = _address(environment)
    found.export(set_cuda_visible_devices=False, overwrite=True)
    group = Group(found.rank, count, device)
    yield group
    group.close()  # after an error the others may be gone, and this would wait


def _address(environment: submitit.JobEnvironment) -> str:
    """Where rank 0 is reached. A node's name need not be a host's: SLURM knows it."""
    if environment.cluster == "local":
        return "127.0.0.1"
    name = environment.hostnames[0]
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        with contextlib.suppress(SlurmError):
            _, words = call(["scontrol", "--oneliner", "show", "node", name])
            if found := re.search(r"\bNodeAddr=(\S+)", words):
                return found[1]
    return name


def _listen(ranks: "Ranks", cluster: str) -> None:
    """Save and stop at SIGUSR2 (time limit).

    At SIGTERM save; on SLURM (pre-emption) go on, on this machine (cancelled) end.
    """
    from headwater.training.ranks import END, SAVE, STOP

    def wish(what: int) -> Callable[[int, Any], None]:
        def handler(number: int, frame: Any) -> None:
            ranks.wish = max(ranks.wish, what)

        return handler

    signal.signal(signal.SIGTERM, wish(END if cluster == "local" else SAVE))
    signal.signal(signal.SIGUSR2, wish(STOP))


def _claim(spec: Spec, environment: submitit.JobEnvironment) -> None:
    """Note whose the work folder is; refuse it while another job trains there.

    Locks of files do not reach other nodes on every file system.

    Raises:
        HeadwaterError: names the other job.
    """
    path = spec.folder / WRITER
    mine = TrainingJob(environment.cluster, environment.job_id, os.uname().nodename)
    other = read_json(path)
    if other and other["id"] != mine.id and TrainingJob(**other).state():
        raise HeadwaterError(
            f"{spec.target}: job {other['id']} is training there; wait for it or "
            "cancel it, then run again"
        )
    write_json(path, asdict(mine))
    for left in (spec.folder / "submitit").glob("*.save_tmp"):
        left.unlink()  # of a life killed while it was requeued; submitit would fail
