"""The plan as a table: a line a stage on the terminal, a line a rule as TSV."""

from dataclasses import dataclass

from headwater.plan.limits import GB, range_text
from headwater.plan.ranges import Range, longest, total


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


def joined(name: str, lines: list[PlanRow]) -> PlanRow:
    """Some rows as one."""
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
        longest=longest([line.longest for line in lines]),
        basis=bases[0] if len(bases) == 1 else "in part measured",
    )


HEADINGS = (
    "jobs",
    "CPU-hours",
    "GPU-hours",
    "GB written",
    "GB kept",
    "files",
    "longest job",
    "time is",
)


def render(lines: list[PlanRow], parts: str = "stage") -> str:
    """Stages, or other parts of a whole, and their sum, for a terminal."""
    stages = list(dict.fromkeys(line.stage for line in lines))
    sums = [joined(s, [line for line in lines if line.stage == s]) for s in stages]
    cells = [_cells(row) for row in [*sums, joined("all", lines)]]
    return "\n".join(aligned([(parts, *HEADINGS), *cells], right=True))


def aligned(rows: list[tuple[str, ...]], right: bool = False) -> list[str]:
    """Lines of cells; `right` aligns those between the first and the last so."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    middle = ">" if right else "<"
    sides = ["<", *[middle] * (len(widths) - 2), "<"]
    form = "  ".join(f"{{:{side}{w}}}" for side, w in zip(sides, widths, strict=True))
    return [form.format(*row).rstrip() for row in rows]


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


AMOUNTS = ("cpu_hours", "gpu_hours", "written", "kept", "files", "longest")
UNITS = {"written": "_bytes", "kept": "_bytes", "longest": "_seconds"}


def as_tsv(lines: list[PlanRow]) -> str:
    """Every rule, with both bounds of every amount."""
    names = [f"{n}{UNITS.get(n, '')}" for n in AMOUNTS]
    bounds = [f"{n}_{bound}" for n in names for bound in ("low", "high")]
    table = [["stage", "rule", "jobs", *bounds, "basis"]]
    for line in lines:
        ranges = [getattr(line, name) for name in AMOUNTS]
        values = [f"{v:.6g}" for s in ranges for v in (s.low, s.high)]
        table.append([line.stage, line.rule, str(line.jobs), *values, line.basis])
    return "".join("\t".join(row) + "\n" for row in table)
