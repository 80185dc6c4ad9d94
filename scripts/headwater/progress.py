"""Progress of long work as plain log lines, written and read.

10:00:00 training: 3,000/12,000 steps · 50.0 steps/s · ETA 3:00 · loss 2.5
"""

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from headwater.logs import logger, tail

LINE = re.compile(
    r"\d\d:\d\d:\d\d (?P<label>.+?): (?P<done>[\d,]+)(/(?P<total>[\d,]+))? "
    r"(?P<unit>[a-z ]+) · (?P<rate>[\d,.]+) (?P=unit)/s"
)
GPU_NOTE = "GPU memory"


class Progress:
    """Counts units of work and logs a line now and then.

    Args:
        label: what is being done ("training", "gradients 0001").
        total: units of work in all; None when unknown.
        unit: name of one unit, plural ("steps", "rows").
        every: seconds between two lines.
        done: units already finished before this process (a resumed job).
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        every: float = 10.0,
        done: int = 0,
    ) -> None:
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.done = self._resumed = done
        self._start = self._last = time.monotonic()

    def update(self, count: int = 1, note: str = "") -> None:
        """Add `count` finished units; log when the last line is old enough."""
        self.done += count
        now = time.monotonic()
        if now - self._last >= self.every or self.done == self.total:
            self._last = now
            logger.info("%s", self.line(now, note))

    def line(self, now: float, note: str = "") -> str:
        """The progress line at monotonic time `now` (seconds)."""
        seconds = max(now - self._start, 1e-9)
        rate = (self.done - self._resumed) / seconds
        parts = [f"{self.label}: {self.done:,}"]
        if self.total is not None:
            parts[0] += f"/{self.total:,}"
        parts[0] += f" {self.unit}"
        parts.append(f"{rate:,.1f} {self.unit}/s")
        if self.total is not None and rate > 0:
            parts.append(f"ETA {_clock((self.total - self.done) / rate)}")
        parts += [part for part in (note, _gpu_memory()) if part]
        return " · ".join(parts)


def _gpu_memory() -> str:
    """The most that this process held on its GPU; "" without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return ""
    return f"{GPU_NOTE} {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass(frozen=True)
class ProgressLine:
    """One progress line.

    Attributes:
        label: what is done.
        done: units.
        total: units in all, None if unknown.
        unit: its name, plural.
        rate: units a second.
        text: the line as written.
    """

    label: str
    done: int
    total: int | None
    unit: str
    rate: float
    text: str


def last_lines(log: Path) -> dict[str, ProgressLine]:
    """The last progress line of every label in a log's end, in order."""
    lines: dict[str, ProgressLine] = {}
    for match in filter(None, map(LINE.match, tail(log))):
        label, unit = match["label"], match["unit"]
        total = _number(match["total"]) if match["total"] else None
        done, rate = _number(match["done"]), float(match["rate"].replace(",", ""))
        lines.pop(label, None)
        lines[label] = ProgressLine(label, done, total, unit, rate, match.string)
    return lines


def _number(text: str) -> int:
    return int(text.replace(",", ""))
