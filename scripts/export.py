"""Write rows of a finished run as files to train on, or to look at, elsewhere.

    E=".venv/bin/python scripts/export.py"
    $E induction --top 10% --format jsonl --output highest.jsonl
    $E induction --bottom 500 --format hf --output lowest
    $E --rows 7819,9000-9009 --format jsonl --output some.jsonl
    $E --arm remove_top-seed0 --format megatron --output without.bin

For another run than results/laptop add `--run results/mine`. docs/library.md describes
the formats.
"""

import sys
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.logs import configure_logging
from headwater.options import Options

FORMATS = ("jsonl", "hf", "megatron")


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "target",
        nargs="?",
        help="whose scores: a target, or the unit it traces (default: the window's)",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--top", metavar="N", help="rows, or a share such as 10%%")
    which.add_argument("--bottom", metavar="N", help="likewise, the lowest first")
    which.add_argument("--rows", metavar="ROWS", help="by number: 7819,9000-9009")
    which.add_argument("--arm", metavar="RUN", help="what remove_top-seed0 trains on")
    parser.add_argument(
        "--whole",
        action="store_true",
        help="of an arm: with the rows before the window, and after it",
    )
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", required=True, metavar="FILE", type=Path)
    parser.add_argument("--overwrite", action="store_true", help="what is there")
    parser.add_argument(
        "--run",
        default="results/laptop",
        metavar="FOLDER",
        help="results of an experiment (default: %(default)s)",
    )
    return parser.parse_args()


def selected(run, args):
    """The rows that are meant."""
    from headwater.library.selection import by_score, listed, of_arm

    if args.rows is not None:
        return listed(run, args.rows, args.target)
    if args.arm is not None:
        return of_arm(run, args.arm, args.target, args.whole)
    amount = args.bottom if args.top is None else args.top
    return by_score(run, args.target, amount, highest=args.top is not None)


def main():
    configure_logging(None)
    args = arguments()
    if args.whole and args.arm is None:
        raise HeadwaterError("--whole goes with --arm alone")

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.library.export import export
    from headwater.library.run import open_run
    from headwater.report.visible import plain

    run = open_run(args.run)
    selection = selected(run, args)
    print(f"{selection.told}, of {plain(str(run.folder))}")
    made = export(run, selection, args.format, args.output, args.overwrite)
    print("written:", ", ".join(plain(str(path)) for path in made))


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
