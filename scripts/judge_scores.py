"""Judge scores of yours by a finished experiment's bank of retrained runs.

    .venv/bin/python scripts/judge_scores.py --scores mine.tsv --experiment bank

`mine.tsv` is a tab-separated table with columns `row` (a row's number in training
order, as in influence/<target>.tsv) and `score` (positive = the row helps the head), a
line for every row of the window. docs/recipes.md tells how to read what is printed.
"""

import re
import sys
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options

EXPERIMENT = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # as in the config's schema


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scores", required=True, metavar="FILE", help="your table")
    parser.add_argument("--experiment", required=True, help="one with results here")
    return parser.parse_args()


def main():
    escape_unprintable()
    args = arguments()
    if not EXPERIMENT.fullmatch(args.experiment):
        raise HeadwaterError(f"--experiment {args.experiment!r}: no experiment's name")
    if not Path(args.scores).is_file():
        raise HeadwaterError(f"{args.scores}: no such file")
    folder = Path("results", args.experiment, "evaluation")
    if not (folder / "lds.tsv").is_file():
        raise HeadwaterError(
            f"{folder / 'lds.tsv'}: not there; arms of rows: subset make a bank "
            "(config/bank.yaml, docs/recipes.md)"
        )

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.evaluation.bank import read_bank, table_paths
    from headwater.evaluation.lds import lds_table
    from headwater.report.judging import beside, scores_of_file
    from headwater.seals import check
    from headwater.tables import read_table

    for path in (folder / "lds.tsv", *table_paths(folder / "bank")):
        check(path)
    bank, known = read_bank(folder / "bank"), read_table(folder / "lds.tsv")
    path = Path(args.scores)
    own = lds_table({path.name: scores_of_file(path, bank)}, bank)
    print("\n".join(beside(own, known)))


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
