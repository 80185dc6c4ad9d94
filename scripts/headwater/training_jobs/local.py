"""Training jobs of several ranks on this machine, started by submitit."""

import os
from collections.abc import Callable
from contextlib import suppress

import psutil
import submitit

from headwater.imports import ROOT
from headwater.training.spec import Spec
from headwater.training_jobs.launch import Launch

PATIENCE = 4.0  # seconds; the run that is being ended waits for this
MINUTES, SIGNAL_SECONDS = 10_000_000, 30  # submitit wants a time limit


def submit(spec: Spec, launch: Launch, training: Callable[[str], None]) -> str:
    """Start a run's ranks, which call `training` with the path of the specification.

    Returns:
        The process id of what watches them.
    """
    path = spec.write()
    executor = submitit.LocalExecutor(spec.folder / "submitit")
    executor.update_parameters(
        tasks_per_node=launch.ranks,
        timeout_min=MINUTES,
        signal_delay_s=SIGNAL_SECONDS,
        stderr_to_stdout=True,
        gpus_per_node=launch.gpus,
        visible_gpus=_visible_gpus(launch.gpus),
    )
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with submitit.helpers.environment_variables(PYTHONPATH=os.pathsep.join(paths)):
        return str(executor.submit(training, str(path.resolve())).job_id)


def _visible_gpus(count: int) -> tuple[int, ...]:
    """Those of CUDA_VISIBLE_DEVICES; submitit would take the first of the machine."""
    words = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    numbers = tuple(int(word) for word in words if word.isdecimal())
    return numbers if len(numbers) >= count else ()


def state(job: str) -> str | None:
    """`RUNNING`, or None when the process has ended."""
    with suppress(psutil.Error):
        if any("submitit.local" in word for word in psutil.Process(int(job)).cmdline()):
            return "RUNNING"
    return None


def cancel(job: str) -> None:
    """End a run's ranks: they end their step and save, or are killed."""
    with suppress(psutil.NoSuchProcess):
        watching = psutil.Process(int(job))
        processes = [watching, *watching.children(recursive=True)]
        watching.terminate()  # which it passes on
        for late in psutil.wait_procs(processes, timeout=PATIENCE)[1]:
            with suppress(psutil.NoSuchProcess):
                late.kill()
