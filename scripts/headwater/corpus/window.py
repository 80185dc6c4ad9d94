"""The rows of the window: what is scored and intervened on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headwater.identity import Config

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Training steps [start, end), whose rows are scored and intervened on."""

    start: int
    end: int


class WindowNumbers:
    """The rows trained on in the window by number, from its first; no row is read."""

    def __init__(self, window: Window, config: Config) -> None:
        self.batch_size: int = config["training"]["batch_size"]
        self.start = window.start
        self.first = window.start * self.batch_size
        self.count = (window.end - window.start) * self.batch_size

    def __len__(self) -> int:
        return self.count

    def after(self, step: int, numbers: range) -> range:
        """Those of some rows that are scored at the checkpoint of a step.

        They are the rows trained after it; at the window's end, which looks back, all.
        """
        ahead = (step - self.start) * self.batch_size
        first = 0 if ahead == self.count else ahead
        return range(max(numbers.start, min(first, numbers.stop)), numbers.stop)

    def is_after(self, step: int, numbers: np.ndarray) -> np.ndarray:
        """Which of some rows `after` would take, bool."""
        return np.isin(numbers, self.after(step, range(self.count)))

    def sample(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """At most `count` rows, drawn without replacement, ascending."""
        count = min(count, len(self))
        return np.sort(generator.choice(len(self), count, replace=False))

    def numbers(self, rows: range | np.ndarray) -> range | np.ndarray:
        """Global row numbers, for messages."""
        if isinstance(rows, range):
            return range(rows.start + self.first, rows.stop + self.first)
        return np.asarray(rows) + self.first

    def step_of(self, numbers: np.ndarray) -> np.ndarray:
        """The training step each row belongs to."""
        return (np.asarray(numbers) + self.first) // self.batch_size


class WindowRows(WindowNumbers):
    """The rows trained on in the window, numbered from its first."""

    def __init__(self, paths: Sequence[Path], window: Window, config: Config) -> None:
        from headwater.corpus.rows import Rows  # brings zarr; numbers need no store

        super().__init__(window, config)
        self.rows = Rows(list(paths), config)

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Token ids of the given rows: int64 [len(numbers), length + 1]."""
        return self.rows.take(np.asarray(numbers) + self.first)

    def tokens(self, part: range) -> np.ndarray:
        """Token ids of a contiguous part: int64 [len(part), length + 1]."""
        return self.rows.tokens(self.first + part.start, self.first + part.stop)

    def part(self, numbers: range) -> "RowPart":
        """A contiguous part as a lazy sequence of rows."""
        return RowPart(self, numbers)

    def pick(self, numbers: np.ndarray) -> "RowPick":
        """Any rows as a lazy sequence."""
        return RowPick(self, numbers)

    def domains(self) -> np.ndarray:
        """Domain of every row, index into `rows.domain_names`: [count]."""
        return self.rows.domains(self.first, self.first + self.count)


class RowPart:
    """A contiguous part of the window; only the sliced rows are read."""

    def __init__(self, window: WindowRows, numbers: range) -> None:
        self._window, self._numbers = window, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: slice) -> "Tensor":
        import torch  # slow to import, and most readers of the window do without

        return torch.from_numpy(self._window.tokens(self._numbers[rows]))


class RowPick:
    """Some rows of the window, in the order given; only the sliced ones are read."""

    def __init__(self, window: WindowRows, numbers: np.ndarray) -> None:
        self._window, self._numbers = window, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: slice) -> "Tensor":
        import torch  # as above

        return torch.from_numpy(self._window.take(self._numbers[rows]))
