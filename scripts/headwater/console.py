"""What a run says: a line a job, how far the long one is, and what is left.

    08:21:33   1/53  train_tokenizer 3 s
    08:22:10   9/53  train_baseline: 300/1,600 steps · 20.0 steps/s · ETA 1:05

Snakemake's own blocks, several lines a job, are in its log file. Who asks for more or
less of them (`--verbose`, `--printshellcmds`, `--quiet`, a dry run ...) has them here.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from headwater.errors import HeadwaterError
from headwater.logs import errors_in, warnings_in
from headwater.status.jobs import look_at
from headwater.status.page import clock

OURS = {"job_info", "job_finished", "job_error", "progress"}
HEAD = {"workflow_started", "run_info", "resources_info"}  # more than a page
HEAD_LINES = (
    *("Assuming unrestricted", "Using shell", "Conda environments: ignored"),
    "Updating checkpoint dependencies",
)
TAIL_LINES = ("Complete log", "Elapsed time", "Trying to restart")
# Of a script that failed: `job_error` says it, too.
REPEATED = ("RuleException:\nCalledProcessError", "Error in group")
NAMES = 3  # of jobs that end at once
LOOKED_AT = 8  # running jobs
TELLS_ITSELF = "study"  # a rule whose job says how far it is
KNOWN = 0.05  # of the work, before the time that is left can be told


Work = Mapping[str, float]


@dataclass
class Job:
    """A job that runs."""

    name: str
    rule: str
    logs: list[Path]
    began: float = field(default_factory=time.time)


class Console(logging.Filter):
    """Takes what Snakemake would say and says it shorter.

    Args:
        stream: where Snakemake would.
        first: seconds from one line to the next while no job ends; in a long run it
            grows to `most`.
    """

    def __init__(self, stream: TextIO, first: float = 10.0, most: float = 60.0) -> None:
        super().__init__()
        self._stream = stream
        self.first, self.most = first, most
        self._lock = threading.RLock()  # records come from several threads
        self._running: dict[int, Job] = {}
        self._ended: list[tuple[Job, float]] = []
        self._done = self._total = 0
        self._began = self._last = time.time()
        self._over: Counter[str] = Counter()  # jobs that ended, by rule
        self._work: Work = {}
        self._whole = 0.0
        self._open = self._closed = False

    def begin(self, counts: Mapping[str, int], work: Callable[[], Work]) -> None:
        """From the first job on, only our lines and Snakemake's warnings and errors.

        Args:
            counts: jobs of every rule that will run.
            work: what one job of a rule costs, in any unit; unknown rules cost nothing.
                Asked beside the first job, since it may take seconds.
        """
        self._total = sum(counts.values())
        self._began = self._last = time.time()
        self._open = True
        arguments = (counts, work)
        threading.Thread(target=self._watch, args=arguments, daemon=True).start()

    def close(self) -> None:
        """Say nothing more, and let Snakemake say nothing."""
        with self._lock:
            self._flush()
            self._open, self._closed = False, True

    def flush(self) -> None:
        """Say what is still to be said, before others speak."""
        with self._lock:
            self._flush()

    @property
    def count(self) -> str:
        """How many of the jobs are done, and of how many."""
        return f"{self._done:,} of {self._total:,} jobs done"

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake's handler prints a record; ours are told here."""
        event = str(getattr(record, "event", None) or "")
        with self._lock:
            if self._closed:
                return False
            if self._open and event in OURS:
                getattr(self, f"_{event}")(record)
                return False
        if record.levelno >= logging.WARNING:
            return not str(record.msg).startswith(REPEATED)
        said = str(record.msg)
        if self._open:
            return said.startswith(TAIL_LINES)
        return not (event in HEAD or said.startswith(HEAD_LINES))

    def _job_info(self, record: Any) -> None:
        name = " ".join([record.rule_name, *map(str, record.wildcards.values())])
        logs = [Path(path) for path in record.log]
        self._running[record.jobid] = Job(name, record.rule_name, logs)

    def _job_finished(self, record: Any) -> None:
        job = self._running.pop(record.job_id, None)
        if job is None:
            return
        self._over[job.rule] += 1
        if job.logs:
            self._ended.append((job, time.time() - job.began))
        for text in _lines_of(job, warnings_in):
            self._say(f"WARNING {job.name}: {text}")

    def _job_error(self, record: Any) -> None:
        job = self._running.pop(record.jobid, None)
        if job is None:
            return
        said = _lines_of(job, errors_in) or [record.rule_msg or "failed"]
        where = "".join(f"  (log: {path})" for path in job.logs)
        self._say(f"FAILED {job.name}: {said[-1]}{where}")

    def _progress(self, record: Any) -> None:
        self._done, self._total = record.done, record.total

    def _watch(self, counts: Mapping[str, int], work: Callable[[], Work]) -> None:
        with suppress(HeadwaterError, OSError):  # then no time left is told
            self._work = work()
            self._whole = sum(n * self._work.get(rule, 0) for rule, n in counts.items())
        while not self._closed:
            time.sleep(1.0)
            with self._lock:
                self._flush()
                quiet = time.time() - self._last
                wait = 0.05 * (time.time() - self._began)
                if self._open and quiet >= min(self.most, max(self.first, wait)):
                    self._tell_longest()

    def _flush(self) -> None:
        """One line for the jobs that ended in the last second."""
        if not self._ended:
            return
        names = [f"{job.name} {clock(seconds)}" for job, seconds in self._ended]
        more = len(names) - NAMES
        text = ", ".join(names[:NAMES]) + (f" and {more} more" if more > 0 else "")
        self._ended.clear()
        self._say(f"{text}{self._left(0.0)}")

    def _tell_longest(self) -> None:
        """A line of the job that runs longest and says how far it is."""
        others = [j for j in self._running.values() if j.rule != TELLS_ITSELF]
        jobs = sorted(others, key=lambda job: job.began)[:LOOKED_AT]
        seen = [(job, look_at(job.logs[0], job.began)) for job in jobs if job.logs]
        lines = [(job, found.line) for job, found in seen if found and found.line]
        part = sum(
            self._work.get(job.rule, 0.0) * line.done / line.total
            for job, line in lines
            if line.total
        )
        if lines:
            job, line = lines[0]
            text = f"{job.name}: {line.text.partition(f'{line.label}: ')[2]}"
        elif jobs:
            text = f"{jobs[0].name} runs, {clock(time.time() - jobs[0].began)}"
        else:
            return
        more = len(self._running) - 1
        text += f" · {more} more {'jobs run' if more > 1 else 'job runs'}" * (more > 0)
        self._say(text + self._left(part))

    def _left(self, part: float) -> str:
        """The time left, by the plan's work and this run's pace so far."""
        worked = part + sum(
            n * self._work.get(rule, 0) for rule, n in self._over.items()
        )
        # Arms that turn out to be others than before train beyond what was planned.
        known = KNOWN * self._whole < worked < self._whole
        if not known or self._done == self._total:
            return ""
        seconds = (time.time() - self._began) * (self._whole - worked) / worked
        return f" · about {clock(seconds)} left in all"

    def _say(self, text: str) -> None:
        self._last = time.time()
        total = f"{self._total:,}"
        count = f"{self._done:{len(total)},}/{total}"
        with suppress(OSError):  # a terminal that was closed, or `| head`
            print(
                f"{time.strftime('%H:%M:%S')} {count}  {text}",
                file=self._stream,
                flush=True,
            )


def _lines_of(job: Job, chosen: Callable[[list[str]], list[str]]) -> list[str]:
    found = []
    for log in job.logs:
        with suppress(OSError):
            found += chosen(log.read_text("utf-8", "replace").splitlines())
    return found


def take_over(workflow: Any) -> Console | None:
    """Have Snakemake's console say less; None if it was asked for something itself.

    Args:
        workflow: Snakemake's, whose Snakefile is being read by the main process.
    """
    asked = workflow.output_settings
    own = asked.quiet or asked.verbose or asked.printshellcmds or asked.debug_dag
    if own or asked.dryrun or asked.show_failed_logs or asked.log_handler_settings:
        return None
    handlers = workflow.logger_manager.logger.handlers
    found = [one for one in handlers if one.name == "DefaultStreamHandler"]
    if not found:
        return None
    console = Console(found[0].stream)
    found[0].addFilter(console)
    return console
