"""Put every score of a finished bank, or of a study of banks, side by side.

    .venv/bin/python scripts/league.py --configfile config/bank.yaml
    .venv/bin/python scripts/league.py --configfile config/bank.yaml --output league.tsv

With a section `study` in the config its members are judged together: intervals are over
them, and all scores together are fitted on some and judged on another. docs/scores.md
says how to read it.
"""

import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.config.study import members
from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options

TABLES = ("lds.tsv", "effects.tsv")
SUMS = ("bank/runs.tsv", "bank/sums.tsv")
COUNTED = ("natural_copy_gain", "copy_gain", "mean_score", "final_score", "icl")


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=["config/bank.yaml"],
        metavar="FILE",
        help="the experiment, as for snakemake (default: config/bank.yaml)",
    )
    parser.add_argument(
        "--response",
        default="probe",
        choices=("probe", *COUNTED),
        help="what runs of the bank are judged by (default: %(default)s)",
    )
    parser.add_argument("--output", metavar="FILE", help="write the whole table (.tsv)")
    return parser.parse_args()


def finished(configs):
    """The members that have a bank; one line of the others."""
    found = {}
    for name, config in configs.items():
        folder = Path("results", config["experiment"], "evaluation")
        lacks = [table for table in TABLES if not (folder / table).is_file()]
        if lacks:
            print(f"{name}: {folder / lacks[0]} is not there: left out")
        else:
            found[name] = config, folder
    if not found:
        raise HeadwaterError(
            "no bank is finished; arms of rows: subset make one (config/bank.yaml)"
        )
    return found


def main():
    escape_unprintable()
    args = arguments()
    config = read_config_file(*args.configfile)
    found = finished(members(config) or {config["experiment"]: config})

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.evaluation.fitted import Sums, why_not
    from headwater.evaluation.league import Judged, league_table, page, sums_of
    from headwater.report.asking import write_answer
    from headwater.seals import check
    from headwater.tables import read_table, table_text

    judged = {}

    def read(folder, names):
        for table in names:
            check(folder / table)
        return [read_table(folder / table) for table in names]

    for name, (member, folder) in found.items():
        known = (folder / SUMS[-1]).is_file()
        sums = Sums(*read(folder, SUMS)) if known else None
        judged[name] = Judged(member["arms"], *read(folder, TABLES), sums)
    table = league_table(judged, config["window"]["target"])
    if args.output:
        write_answer(args.output, table_text(table))
    print("\n".join(page(table, args.response)))
    if told := why_not(sums_of(judged)):
        print(told)


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
