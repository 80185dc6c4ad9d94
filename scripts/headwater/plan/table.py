"""The plan as a table: a line a stage on the terminal, a line a rule as TSV."""

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.plan.dag import rules
from headwater.plan.estimate import Time, hours
from headwater.plan.experiment import Experiment
from headwater.plan.limits import GB, Limit, range_text
from headwater.plan.ranges import Range, total


@dataclass(frozen=True)
class PlanRow:
    """One rule, or one stage.

    Attributes:
        stage: its name.
        rule: its name; "" for a whole stage.
        jobs: how many.
        cpu_hours: CPU threads held, times hours.
        gpu_hours: likewise.
        written: bytes.
        kept: bytes left at the end.
        files: left at the end.
        longest: seconds of the longest job.
        basis: what the hours rest on.
    """

    stage: str
    rule: str
    jobs: int
    cpu_hours: Range
    gpu_hours: Range
    written: Range
    kept: Range
    files: Range
    longest: Range
    basis: str


def rule_lines(
    e: Experiment, times: Mapping[str, Time], limits: Mapping[str, Limit], gpu: bool
) -> list[PlanRow]:
    """A line for every rule, in the order of the stages."""
    lines = []
    for name, time in times.items():
        rule = rules()[name]
        output, jobs = rule.leaves(e), rule.jobs(e)
        cpu, gpus = hours(time, limits.get(name, Limit()), gpu)
        kept, written = output.kept * jobs, output.kept + output.rewritten
        files = output.files * jobs
        amounts = (cpu, gpus, written * jobs, kept, files, time.longest)
        lines.append(PlanRow(rule.stage, name, jobs, *amounts, time.basis))
    return lines


def joined(name: str, lines: list[PlanRow]) -> PlanRow:
    """Some lines as one."""
    bases = sorted({line.basis for line in lines}, reverse=True)
    return PlanRow(
        stage=name,
        rule="",
        jobs=sum(line.jobs for line in lines),
        cpu_hours=total([line.cpu_hours for line in lines]),
        gpu_hours=total([line.gpu_hours for line in lines]),
        written=total([line.written for line in lines]),
        kept=total([line.kept for line in lines]),
        files=total([line.files for line in lines]),
        longest=Range(
            max(line.longest.low for line in lines),
            max(line.longest.high for line in lines),
        ),
        basis=bases[0] if len(bases) == 1 else "in part measured",
    )


HEADINGS = (
    *("stage", "jobs", "CPU-hours", "GPU-hours", "GB written", "GB kept", "files"),
    *("longest job", "time is"),
)


def render(lines: list[PlanRow]) -> str:
    """Stages and their sum, for a terminal."""
    stages = list(dict.fromkeys(line.stage for line in lines))
    rows = [joined(s, [line for line in lines if line.stage == s]) for s in stages]
    cells = [HEADINGS, *(_cells(row) for row in [*rows, joined("all", lines)])]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    return "\n".join(_padded(row, widths) for row in cells)


def _padded(row: tuple[str, ...], widths: list[int]) -> str:
    ends = (0, len(row) - 1)
    cells = [
        cell.ljust(width) if i in ends else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _cells(line: PlanRow) -> tuple[str, ...]:
    return (
        line.stage,
        f"{line.jobs:,}",
        range_text(line.cpu_hours),
        range_text(line.gpu_hours),
        range_text(line.written * (1 / GB)),
        range_text(line.kept * (1 / GB)),
        range_text(line.files),
        duration(line.longest),
        line.basis,
    )


def duration(seconds: Range) -> str:
    """`20-50 s`, `3-9 min`, `2-11 h`."""
    for size, unit in ((5400, "h"), (90, "min")):
        if seconds.high >= size:
            return f"{range_text(seconds * (1 / (3600 if unit == 'h' else 60)))} {unit}"
    return f"{range_text(seconds)} s"


SPANS = ("cpu_hours", "gpu_hours", "written", "kept", "files", "longest")
UNITS = {"written": "_bytes", "kept": "_bytes", "longest": "_seconds"}


def as_tsv(lines: list[PlanRow]) -> str:
    """Every rule, with both bounds of every amount."""
    names = [f"{n}{UNITS.get(n, '')}" for n in SPANS]
    bounds = [f"{n}_{bound}" for n in names for bound in ("low", "high")]
    table = [["stage", "rule", "jobs", *bounds, "basis"]]
    for line in lines:
        spans = [getattr(line, name) for name in SPANS]
        values = [f"{v:.6g}" for s in spans for v in (s.low, s.high)]
        table.append([line.stage, line.rule, str(line.jobs), *values, line.basis])
    return "".join("\t".join(row) + "\n" for row in table)
