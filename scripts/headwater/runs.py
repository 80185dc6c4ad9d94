"""Beginning and end of a Snakemake run: its lock, its summary, why it failed."""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headwater import console, interruption
from headwater.cluster import failures, orphans, preflight, requests
from headwater.errors import HeadwaterError
from headwater.interruption import JOB_PREFIX
from headwater.locks import exclusive
from headwater.logs import QUIET, errors_in

# Threads of one job wait for each other many times a step. By default they spin; where
# something else runs on one of their cores too, a training then stands nearly still.
PATIENT = "printenv OMP_WAIT_POLICY >/dev/null || export OMP_WAIT_POLICY=passive; "


class RunGuard:
    """Held by Snakemake's main process while it works on one experiment.

    Snakemake's own lock outlives a killed process and then blocks the next run; this
    one ends with its process.

    Its methods are given Snakemake's workflow, with its jobs planned.
    """

    def __init__(self, experiment: str) -> None:
        self._results = Path("results") / experiment
        self._record = orphans.record_path(experiment)
        self._logs = Path("logs") / experiment
        self._stack = ExitStack()
        self._remembered = False  # the run is written down, for the next one to find
        self._started = time.time()
        self._console: console.Console | None = None
        self._interrupted = False
        self._ended = threading.Event()

    def watch(self, workflow: Any) -> None:
        """From the reading of the Snakefile on, keep the console short."""
        interruption.end_early(workflow)
        self._console = console.take_over(workflow)

    def arrive(self, workflow: Any) -> None:
        """Leave the logs of other runs alone, even if this one ends at once."""
        if requests.uses_slurm(workflow):
            requests.keep_logs_in(workflow, requests.run_id(workflow))

    def attend(self, workflow: Any, work: Callable[[], console.Work]) -> None:
        """From now on, tell how far the run is, and end it at ctrl-C.

        Args:
            work: what one job of a rule costs, by the plan.
        """
        if _is_here(workflow):
            self._ended = interruption.listen(workflow, self._interrupt)
        else:
            interruption.leave_to_snakemake()
        if self._console is not None:
            counts = Counter(job.rule.name for job in workflow.dag.needrun_jobs())
            self._console.begin(counts, work)

    def job_prefix(self, workflow: Any) -> str:
        """What the shell does before each job of this machine, as `shell.prefix`."""
        words = f"set -euo pipefail; {PATIENT}"
        if self._console is not None:
            words += f"export {QUIET}=1; "
        return words + JOB_PREFIX if _is_here(workflow) else words

    def begin(self, workflow: Any, config: Mapping[str, Any]) -> None:
        """Take the lock; on SLURM, check the jobs and end those of a killed run.

        Exits with one line a problem, before any job is submitted.
        """
        try:
            self._stack.enter_context(exclusive(self._results, warn=True))
            if requests.uses_slurm(workflow):
                preflight.check(workflow, config)
                orphans.end_earlier_run(self._record)
                requests.keep_logs_in(workflow, self._results.name)
                orphans.remember_run(self._record, requests.run_id(workflow))
                self._remembered = True
        except HeadwaterError as error:
            print(error, file=sys.stderr)
            sys.exit(1)

    def finish(self) -> None:
        """Release the lock and print the experiment's summary if this run made it."""
        if self._console is not None:
            self._console.flush()
        if self._remembered:
            orphans.forget_run(self._record)
        self._stack.close()
        summary = self._results / "report" / "summary.md"
        if summary.is_file() and summary.stat().st_mtime >= self._started:
            print("\n" + summary.read_text(encoding="utf-8"), file=sys.stderr)

    def explain(self, workflow: Any, snakemake_logs: Iterable[str]) -> None:
        """Release the lock and print why jobs failed, one line each."""
        self._stack.close()
        if self._interrupted:
            self._ended.wait(interruption.PATIENCE)
            return
        if self._console is not None:
            self._console.flush()
        lines = [
            f"{error}  (log: {log})"
            for log in self._recent_logs()
            for error in errors_in(log.read_text("utf-8", "replace").splitlines())
        ]
        if requests.uses_slurm(workflow):
            refused = failures.refusals(snakemake_logs)
            failed = [] if refused else requests.failed_jobs(workflow)
            lines += refused + failures.slurm_failures(failed, self._started)
        if lines:
            print("\nHeadwater stopped:", *lines, sep="\n  ", file=sys.stderr)
        print(f"Logs of all jobs: {self._logs}/", file=sys.stderr)

    def _interrupt(self, number: signal.Signals) -> None:
        self._interrupted = True
        done = ""
        if self._console is not None:
            self._console.close()
            done = f", {self._console.count}"
        print(
            f"Interrupted ({number.name}){done}; the same command goes on from there",
            file=sys.stderr,
            flush=True,
        )

    def _recent_logs(self) -> list[Path]:
        logs = sorted(self._logs.rglob("*.log"))
        return [log for log in logs if log.stat().st_mtime >= self._started]


def _is_here(workflow: Any) -> bool:
    """Whether all jobs run on this machine."""
    return bool(workflow.executor_plugin.name == "local")
