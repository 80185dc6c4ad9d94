"""What a run says, from the records of Snakemake's log."""

import io
import logging
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import console
from headwater.console import Console, take_over
from headwater.logs import ERROR, WARNING

PLAIN = {
    "quiet": None,
    "verbose": False,
    "printshellcmds": False,
    "debug_dag": False,
    "dryrun": False,
    "show_failed_logs": False,
    "log_handler_settings": {},
}


class Run:
    """A console with a run of ten jobs in view, and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stream = folder, io.StringIO()
        self.console = Console(self.stream)
        self.console._watch = lambda *_: None
        self.console.begin({"fit": 9, "all": 1}, dict)
        self.console._work, self.console._whole = {"fit": 2.0}, 18.0

    def passes(self, text: str, level: int = logging.INFO, **extra: object) -> bool:
        record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
        record.__dict__.update(extra)
        return self.console.filter(record)

    def begins(self, number: int, log: str = "") -> None:
        path = self.folder / f"fit-{number}.log"
        assert not self.passes(
            "",
            event="job_info",
            jobid=number,
            rule_name="fit",
            wildcards={"shard": f"{number:04d}"},
            log=[str(path)],
        )
        path.write_text(log)

    def ends(self, number: int) -> None:
        assert not self.passes("", event="job_finished", job_id=number)
        assert not self.passes("", event="progress", done=number, total=10)

    def said(self) -> list[str]:
        """Lines since the last call, without their time."""
        self.console._flush()
        lines = [line[9:] for line in self.stream.getvalue().splitlines()]
        self.stream.truncate(0)
        self.stream.seek(0)
        return lines


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_job_that_ended_is_a_line(run: Run) -> None:
    run.begins(1)
    run.ends(1)
    assert run.said() == [" 1/10  fit 0001 0 s · about 0 s left in all"]


def test_a_study_tells_of_itself_how_far_it_is(run: Run) -> None:
    run.begins(1)
    run.console._running[1].rule = console.TELLS_ITSELF
    run.console._tell_longest()
    assert run.said() == []


def test_a_console_that_is_gone_stops_nothing(run: Run) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    run.console._stream = Gone()
    run.begins(1)
    run.ends(1)
    run.console.flush()


def test_jobs_that_end_together_share_a_line(run: Run) -> None:
    for number in range(1, 6):
        run.begins(number)
        run.ends(number)
    (line,) = run.said()
    assert line.startswith(" 5/10  fit 0001 0 s, fit 0002 0 s, fit 0003 0 s and 2 more")


def test_what_a_job_warns_of_is_seen(run: Run) -> None:
    run.begins(1, f"10:00:00 begun\n10:00:01 {WARNING}3 lines skipped\n")
    run.ends(1)
    assert run.said()[0] == " 0/10  WARNING fit 0001: 3 lines skipped"


@pytest.mark.parametrize(
    ("log", "told", "said"),
    [
        (f"10:00:00 {ERROR}a.txt: empty; add text", None, "a.txt: empty; add text"),
        ("10:00:00 begun", "SLURM-job '7' failed", "SLURM-job '7' failed"),
        ("", None, "failed"),
    ],
)
def test_why_a_job_failed_is_a_line(run: Run, log, told, said) -> None:
    run.begins(3, log)
    error = {"event": "job_error", "jobid": 3, "rule_msg": told}
    assert not run.passes("", logging.ERROR, **error)
    path = run.folder / "fit-3.log"
    assert run.said() == [f" 0/10  FAILED fit 0003: {said}  (log: {path})"]


def test_the_job_that_runs_longest_says_how_far_it_is(run: Run) -> None:
    progress = "10:00:00 gradients 7: {}/4,000 rows · 40.0 rows/s · ETA 1:15"
    run.begins(1)
    run.begins(2, progress.format("1,000") + "\n")
    run.console._tell_longest()
    (line,) = run.said()
    assert line.startswith(" 0/10  fit 0002: 1,000/4,000 rows · 40.0 rows/s · ETA 1:15")
    assert " · 1 more job runs" in line
    (run.folder / "fit-2.log").write_text("10:00:00 reading\n")
    run.console._tell_longest()
    assert run.said() == [" 0/10  fit 0001 runs, 0 s · 1 more job runs"]


def test_the_time_left_goes_by_the_work_and_not_by_the_number(run: Run) -> None:
    run.console._work = {"fit": 1.0, "train": 8.0}
    run.console._whole = 16.0
    run.console._began = time.time() - 60
    run.begins(1)
    run.ends(1)
    assert run.said() == [" 1/10  fit 0001 0 s · about 15 min left in all"]


def test_no_time_is_left_of_work_that_was_not_planned(run: Run) -> None:
    run.console._work, run.console._whole = {"fit": 8.0}, 4.0
    run.console._began = time.time() - 60
    run.begins(1)
    run.ends(1)
    assert "left in all" not in run.said()[0]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.text(), st.sampled_from(["job_started", "shellcmd", "group_info", None]))
def test_of_snakemakes_lines_only_warnings_and_errors_pass(text, event) -> None:
    run = Run(Path())
    assert not run.passes(f"x{text}", event=event)
    assert run.passes(f"x{text}", logging.WARNING, event=event)
    assert run.passes(f"x{text}", logging.ERROR, event=event)
    run.console.close()
    assert not run.passes(f"x{text}", logging.ERROR, event=event)


def test_before_the_first_job_only_the_head_is_left_out() -> None:
    early = Console(io.StringIO())
    for text, event, passes in (
        ("SNAKEMAKE", "workflow_started", False),
        ("Job stats: ...", "run_info", False),
        ("Provided cores: 2", "resources_info", False),
        ("Nothing to be done", None, True),
        ("Unlocked working directory.", None, True),
    ):
        record = logging.LogRecord("s", logging.INFO, "", 0, text, (), None)
        record.event = event
        assert early.filter(record) is passes


def workflow(**asked: object) -> SimpleNamespace:
    handler = logging.StreamHandler(io.StringIO())
    handler.name = "DefaultStreamHandler"
    logger = SimpleNamespace(handlers=[handler])
    return SimpleNamespace(
        output_settings=SimpleNamespace(**{**PLAIN, **asked}),
        logger_manager=SimpleNamespace(logger=logger),
    )


def test_the_console_is_taken_over() -> None:
    found = workflow()
    assert take_over(found) in found.logger_manager.logger.handlers[0].filters


@pytest.mark.parametrize(
    "asked",
    [
        *({name: True} for name in PLAIN if PLAIN[name] is False),
        {"quiet": {"progress"}},
        {"log_handler_settings": {"rich": None}},
    ],
    ids=str,
)
def test_who_asks_snakemake_for_more_or_less_has_it(asked) -> None:
    found = workflow(**asked)
    assert take_over(found) is None
    assert not found.logger_manager.logger.handlers[0].filters


def test_lines_come_at_most_every_ten_seconds_and_then_every_minute() -> None:
    assert (Console(io.StringIO()).first, Console(io.StringIO()).most) == (10, 60)
    assert console.NAMES == 3
