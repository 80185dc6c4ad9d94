"""Progress of long work: done, total, rate and time left, as plain log lines."""

import logging
import sys
import time

logger = logging.getLogger("headwater")


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
    return f"GPU memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
