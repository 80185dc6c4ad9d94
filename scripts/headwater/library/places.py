"""The files of a run: there and as they were written, or said in one line."""

import os
from pathlib import Path

from headwater import seals
from headwater.errors import HeadwaterError
from headwater.problems import one_line
from headwater.suggestions import closest

STAGES = ("corpus", "checkpoints", "heads")  # the first that a run leaves
WINDOW = "heads/window.json"


class Places:
    """The folder of one run; each file of it is checked once."""

    def __init__(self, folder: Path) -> None:
        self._absolute = folder.absolute()
        self._checked: set[str] = set()

    @property
    def folder(self) -> Path:
        """The folder from the working directory, whichever that is by now.

        So messages name files as Snakemake does, where it runs.
        """
        near = os.path.relpath(self._absolute)
        return self._absolute if near.startswith("..") else Path(near)

    def there(self, name: str) -> Path:
        """The path of a result that is finished and holds what was written.

        Args:
            name: its path in the folder.

        Raises:
            HeadwaterError: not there, with the command that makes it; or damaged, or
                made from other inputs than those beside it.
        """
        path = self.folder / name
        if not path.exists():
            raise HeadwaterError(
                f"{one_line(str(path))}: not there, or no longer; run `.venv/bin/"
                f"snakemake --cores all {one_line(self._typed(name))}` (and your "
                "--configfile) first"
            )
        if name not in self._checked:
            seals.check(path)
            self._checked.add(name)
        return path

    def names(self, pattern: str) -> list[str]:
        """Paths in the folder that match a pattern, sorted; hidden ones are none."""
        folder = self.folder
        found = (path.relative_to(folder) for path in folder.glob(pattern))
        return sorted(p.as_posix() for p in found if not p.name.startswith("."))

    def _typed(self, name: str) -> str:
        """A result as Snakemake, which runs beside `results`, has it named."""
        parts = self._absolute.parts[-2:]
        folder = Path(*parts) if parts[0] == "results" else self.folder
        return str(folder / name)


def existing(folder: Path) -> Path:
    """A folder, if it is one.

    Raises:
        HeadwaterError: it is none; a folder beside it that is called alike is named.
    """
    try:
        if folder.is_dir():
            return folder
        kind = "a file; name the folder that it is in" if folder.exists() else None
    except (OSError, ValueError) as error:
        kind = f"cannot be looked at ({one_line(str(error))})"
    raise HeadwaterError(f"{one_line(str(folder))}: {kind or _none_such(folder)}")


def is_run(folder: Path) -> bool:
    """Whether a folder holds results of an experiment, the first of them at least."""
    return any((folder / stage).is_dir() for stage in STAGES)


def runs_in(folder: Path) -> list[str]:
    """Names of the folders in a folder that hold results of an experiment, sorted."""
    try:
        return sorted(path.name for path in folder.iterdir() if is_run(path))
    except OSError:
        return []


def _none_such(folder: Path) -> str:
    known = runs_in(folder.parent)
    match = closest(folder.name, known)
    if match:
        return f"no such folder; did you mean {one_line(str(folder.parent / match))}?"
    runs = f"; those beside it: {', '.join(map(one_line, known[:10]))}" if known else ""
    advice = "it is looked for from the working directory"
    return f"no such folder{runs or f'; {advice}, {one_line(str(Path.cwd()))}'}"
