"""One run of an experiment as an object, for notebooks."""

from os import PathLike
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.library.places import Places, existing, is_run, runs_in
from headwater.library.results import Results
from headwater.library.unit import TracedUnit
from headwater.library.words import about
from headwater.models.sections import unit_of
from headwater.problems import one_line


def open_run(folder: "str | PathLike[str]") -> "Run":
    """See `headwater.open`."""
    path = existing(Path(folder))
    if not is_run(path):
        shown = one_line(str(path))
        if (path / "members.tsv").is_file():
            raise HeadwaterError(
                f'{shown}: a study; open it with headwater.open_study("{shown}")'
            )
        runs = ", ".join(one_line(str(path / name)) for name in runs_in(path)[:10])
        advice = f"name one of {runs}" if runs else "name one such as results/laptop"
        raise HeadwaterError(f"{shown}: no results of an experiment; {advice}")
    return Run(Places(path))


class Run(Results):
    """The results of one experiment; each is read when it is asked for.

    Methods raise `HeadwaterError`, in one line, for a result that is not there yet
    (with the command that makes it), that is not as it was written, or of another
    config or version.

    Example:
        >>> run = headwater.open("results/laptop")
        >>> run.scores("induction").nlargest(5, "score")
        >>> print(run.text(7819))
    """

    def unit(self, label: str) -> TracedUnit:
        """What is known of a unit, traced or not.

        Args:
            label: such as `L1H3` (a head), `L1G0`, `L2N17`, `L2MLP`, `L1H3+L0H2`.

        Raises:
            HeadwaterError: no label of a unit, or the model has none such; or no row
                is scored yet, so that it is not known which parameters count.
        """
        if "gradients" not in self.config:
            self._places.there(f"influence/{self.main}.zarr")
        return TracedUnit(self, unit_of(label, self.config))

    def __repr__(self) -> str:
        return about(self)
