"""Compare the rankings of two targets, of one run or of two.

    .venv/bin/python scripts/compare.py induction previous_token
    .venv/bin/python scripts/compare.py L2H3 L1H0 --output both.tsv
    .venv/bin/python scripts/compare.py induction --with results/laptop-seed1

For another run than results/laptop add `--run results/mine`. A target may be named by
the unit that it traces.
"""

import sys

from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument("first", help="a target, or the unit that it traces")
    parser.add_argument("second", nargs="?", help="by default the same, of --with")
    parser.add_argument(
        "--run",
        default="results/laptop",
        metavar="FOLDER",
        help="results of an experiment (default: %(default)s)",
    )
    parser.add_argument(
        "--with",
        dest="other",
        metavar="FOLDER",
        help="results that the second target is of (default: the same)",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=5,
        choices=range(1, 101),
        metavar="N",
        help="rows to show that are high for one only (default: %(default)s)",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="every row, both scores (.tsv)"
    )
    return parser.parse_args()


def main():
    escape_unprintable()
    args = arguments()
    if args.second is None and args.other is None:
        raise HeadwaterError("name a second target, or another run with --with")

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.library.compare import compare
    from headwater.library.compared import comparison_text
    from headwater.library.run import open_run
    from headwater.report.asking import write_answer
    from headwater.tables import table_text

    run = open_run(args.run)
    other = open_run(args.other) if args.other else run
    first = run, run.target_name(args.first)
    second = other, other.target_name(args.second or args.first)
    found = compare(first, second)
    print(comparison_text(found, first, second, args.rows))
    if args.output:
        write_answer(args.output, table_text(found.rows))


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
