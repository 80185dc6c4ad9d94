"""Headwater: which training data made this attention head?

The library behind the workflow's rules. One sub-package per stage of the science;
data flows from `corpus` to `report` and never back. To read a finished run:

    import headwater
    run = headwater.open("results/laptop")
    run.scores("induction")
"""

from os import PathLike
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater.library.run import Run
    from headwater.library.study import Study

__all__ = ["HeadwaterError", "open", "open_study"]


def open(folder: "str | PathLike[str]") -> "Run":
    """Open the results of an experiment, finished or not; nothing is read yet.

    Args:
        folder: such as `results/laptop`.

    Raises:
        HeadwaterError: no such folder, or one without results of an experiment.

    Example:
        >>> run = headwater.open("results/laptop")
        >>> run.scores("induction").nlargest(5, "score")
    """
    from headwater.library.run import open_run  # what only imports a room needs no run

    return open_run(folder)


def open_study(folder: "str | PathLike[str]") -> "Study":
    """Open the results of a study: several experiments, judged together.

    Args:
        folder: of the experiment whose study it is, such as `results/laptop`, or its
            folder `study`.

    Raises:
        HeadwaterError: no such folder, or one without a study.

    Example:
        >>> study = headwater.open_study("results/laptop")
        >>> study.verdicts()
    """
    from headwater.library.study import open_study as opened

    return opened(folder)
