"""Ask a finished experiment about a unit, without another pass over its rows.

    .venv/bin/python scripts/ask.py L1H3 --probe copying
    .venv/bin/python scripts/ask.py L1H3 --probe dataset --data my_rows.jsonl
    .venv/bin/python scripts/ask.py L1H3 --probe induction --damping 1
    .venv/bin/python scripts/ask.py L1H3 --like 31724

For another experiment than config/config.yaml add `--configfile config/mine.yaml`. The
unit must be in the gradient stores (`gradients.units` in the config).
"""

import argparse
import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.config.target_checks import PROBES, SUBJECTS, WITH_ROWS
from headwater.errors import HeadwaterError
from headwater.influence import EXTREMES
from headwater.logs import escape_unprintable
from headwater.models.sections import unit_of
from headwater.projection.stored import check_stored, check_unit
from headwater.units import HEAD

WIDTH = 72


def above(bound):
    """A number above a bound, for argparse."""

    def read(text):
        if not float(text) > bound:
            raise argparse.ArgumentTypeError(f"{text} is not above {bound}")
        return float(text)

    return read


def arguments():
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("unit", help="such as L1H3, L1G0, L2N17, L1H3+L0H2")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--probe", choices=PROBES, help="rank all rows for this probe")
    asked.add_argument("--like", type=int, metavar="ROW", help="rows that act like it")
    parser.add_argument("--data", help="rows of the probe dataset (JSON lines)")
    parser.add_argument("--damping", type=above(0), help="by default the config's")
    parser.add_argument(
        "--top",
        type=int,
        default=10,
        help="rows to show",
        choices=range(1, EXTREMES + 1),
        metavar="N",
    )
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
        metavar="FILE",
        help="the experiment, as for snakemake (default: %(default)s)",
    )
    parser.add_argument(
        "--writes",
        action="store_true",
        help="show which tokens a step on each row makes the unit write more, and less",
    )
    parser.add_argument("--output", help="write the ranked table there (.tsv)")
    return parser.parse_args()


def show(top, rows, tokenizer, written):
    """Print rows of a ranked table, and perhaps what their gradients write."""
    from headwater.report.visible import plain

    def text(ids):
        return plain(tokenizer.decode(ids, skip_special_tokens=False))

    print("rank       row   step      score  domain       text")
    for place, line in enumerate(top.itertuples()):
        tokens = rows.tokens(line.row, line.row + 1)[0].tolist()
        print(
            f"{line.rank:4d}  {line.row:8d}  {line.step:5d}  {line.score:+9.3g}  "
            f"{plain(line.domain)[:12]:12s} {text(tokens)[:WIDTH]}"
        )
        if written is not None:
            for what, ids in zip(("in", "out"), written[place].tolist(), strict=True):
                print(f"{f'pushes {what}:':>46s} {' | '.join(text([i]) for i in ids)}")


def main():
    escape_unprintable()
    args = arguments()
    config = read_config_file(args.configfile)
    unit = unit_of(args.unit, config)
    results = Path("results") / config["experiment"]
    if (args.probe in WITH_ROWS) != bool(args.data):
        those = ", ".join(WITH_ROWS)
        raise HeadwaterError(f"--data goes with the probes {those}, and them alone")
    if args.probe and (wrong := unit.lacks(SUBJECTS.get(args.probe, HEAD))):
        raise HeadwaterError(f"{unit}: the probe {args.probe} {wrong}")
    if args.data and not Path(args.data).is_file():
        raise HeadwaterError(f"{args.data}: no such file")
    check_stored(results, config, args.configfile)
    check_unit(results, config, str(unit))

    # Slow to import, and nothing for a command that was misspelt.
    from tokenizers import Tokenizer

    from headwater.influence.query import Experiment
    from headwater.report.sentences import sharing_sentence
    from headwater.tables import table_text

    experiment = Experiment(results, config, args.configfile)
    if args.like is not None:
        table = experiment.rows_like(unit, args.like)
    else:
        target = {"probe": args.probe, **({"data": args.data} if args.data else {})}
        table = experiment.top_rows(unit, target, args.damping)
    if args.output:
        try:
            Path(args.output).write_text(table_text(table), encoding="utf-8")
        except OSError as error:
            raise HeadwaterError(f"{args.output}: cannot write ({error})") from error
    if told := sharing_sentence(unit, config):
        print(told)
    tokenizer = str(results / "corpus" / "tokenizer" / "tokenizer.json")
    top = table.nsmallest(args.top, "rank")
    written = experiment.written(unit, top["row"].tolist()) if args.writes else None
    show(top, experiment.window.rows, Tokenizer.from_file(tokenizer), written)


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
