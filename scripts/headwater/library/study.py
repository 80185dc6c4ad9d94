"""A study: several experiments, judged together (`snakemake study`)."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError
from headwater.library.places import existing
from headwater.library.run import Run, open_run
from headwater.problems import one_line
from headwater.report.visible import plain

if TYPE_CHECKING:
    import pandas as pd

_TABLES = ("members.tsv", "verdicts.tsv")
_JUDGED = "judged"  # as `study.results` has it


def open_study(folder: "str | PathLike[str]") -> "Study":
    """See `headwater.open_study`."""
    path = existing(Path(folder))
    for place in (path, path / "study"):
        if all((place / name).is_file() for name in _TABLES):
            return Study(place)
    shown = one_line(str(path))
    raise HeadwaterError(
        f"{shown}: no study ({' and '.join(_TABLES)}, in the folder or in study/ in "
        "it); run `.venv/bin/snakemake --cores all study` (and your --configfile) first"
    )


class Study:
    """The results of a study.

    Example:
        >>> study = headwater.open_study("results/laptop")
        >>> study.verdicts().query("verdict == 'holds'")
        >>> study.runs["seed1"].scores()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def members(self) -> "pd.DataFrame":
        """A line a member: its experiment, head, window, and the area of every arm."""
        return self._table("members.tsv")

    def verdicts(self) -> "pd.DataFrame":
        """Every claim, with its numbers and verdict."""
        return self._table("verdicts.tsv")

    @property
    def runs(self) -> dict[str, Run]:
        """The members' runs by name; only those whose results are here, too.

        Raises:
            HeadwaterError: the results of no member are beside the study's.
        """
        results = self._folder.parent.parent
        found: dict[str, Run] = {}
        for line in self.members().itertuples():
            experiment = str(line.experiment)
            folder = results / experiment
            if Path(experiment).name == experiment and folder.is_dir():
                found[str(line.member)] = open_run(folder)
        if not found:
            raise HeadwaterError(
                f"{one_line(str(results))}: the results of no member are here"
            )
        return found

    def effects(self) -> "pd.DataFrame":
        """`Run.effects` of every member whose arms count, with its name in `member`."""
        import pandas as pd

        members, tables = self.members(), []
        judged = set(members["member"][members["state"] == _JUDGED].astype(str))
        for name, run in self.runs.items():
            if name in judged:
                table = run.effects()
                table.insert(0, "member", name)
                tables.append(table)
        if not tables:
            raise HeadwaterError(f"{one_line(str(self._folder))}: no member was judged")
        return pd.concat(tables, ignore_index=True)

    def _table(self, name: str) -> "pd.DataFrame":
        from headwater.tables import read_table

        return read_table(self._folder / name)

    def __repr__(self) -> str:
        members = ", ".join(plain(str(name)) for name in self.members()["member"])
        return f"<study in {plain(str(self._folder))}: {members}>"
