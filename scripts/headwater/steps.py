"""Training steps: their names, the rows that they read, the bytes of a row.

    step s   = rows  size*s ... size*(s + 1) - 1          (size = training.batch_size)
    row i    = bytes width*b*i ... width*b*(i + 1) - 1    (width = seq_len + 1 tokens)

For Pythia (batches of 1,024 rows, 2,049 tokens of b = 2 bytes), step s is rows
1024 s ... 1024 s + 1023 and row i is bytes 4098 i ... 4098 i + 4097. From pythia,
issue 123 (one row of the pre-shuffled data is one row of training, of 2,049 tokens) and
`utils/batch_viewer.py` (rows of a step).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError

ENDED = "ended.json"  # stands where the checkpoint of a step would, had it been trained


def rows_of_steps(config: Mapping[str, Any], steps: int) -> int:
    """Rows that so many steps of the config's training read."""
    return steps * int(config["training"]["batch_size"])


def training_rows(config: Mapping[str, Any]) -> int:
    """Rows of the whole training run."""
    return rows_of_steps(config, config["training"]["steps"])


def step_name(step: int) -> str:
    """The name of a step's checkpoint, as Pythia's revisions are called."""
    return f"step{step}"


def step_of(revision: str) -> int | None:
    """N of `step<N>`; None for any other name."""
    found = re.fullmatch(r"step(\d+)", revision)
    return int(found[1]) if found else None


def step_numbers(folders: Iterable[Path]) -> list[tuple[int, Path]]:
    """(step, folder) of `step<N>` folders, ascending; none after the run's end."""
    reached = (path for path in folders if not (path / ENDED).exists())
    return sorted((int(path.name.removeprefix("step")), path) for path in reached)


def step_of_row(row: int, batch_size: int) -> int:
    """The training step that reads row `row`, both from 0."""
    return row // batch_size


def bytes_of_rows(rows: range, width: int, itemsize: int) -> range:
    """Bytes of contiguous rows in a file of rows without gaps."""
    row = width * itemsize
    return range(rows.start * row, rows.stop * row)


def past_the_end(name: str, rows: range, count: int) -> HeadwaterError:
    """What to say when the run needs rows of a source that has only `count`."""
    return HeadwaterError(
        f"{name}: rows {rows.start:,} to {rows.stop - 1:,} are needed (training.steps "
        f"x training.batch_size, and corpus.held_out.rows after them), but it has only "
        f"{count:,}; lower training.steps or corpus.held_out.rows, or give all files"
    )
