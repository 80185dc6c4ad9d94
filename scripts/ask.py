"""Ask a finished experiment about a unit, without another pass over its rows.

    .venv/bin/python scripts/ask.py induction
    .venv/bin/python scripts/ask.py L1H3 --probe copying --bottom 5 --tokens
    .venv/bin/python scripts/ask.py L1H3 --probe dataset --data my_rows.jsonl
    .venv/bin/python scripts/ask.py L1H3 --probe induction --damping 1
    .venv/bin/python scripts/ask.py L1H3 --like 31724

For another experiment than config/config.yaml add `--configfile config/mine.yaml`. The
unit must be in the gradient stores (`gradients.units` in the config).
"""

import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.influence import EXTREMES
from headwater.logs import configure_logging, escape_unprintable
from headwater.options import Options
from headwater.report.asking import (
    DATA,
    add_question,
    between,
    echo,
    typed_question,
    write_answer,
)


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.partition("\n\n")[0], epilog=DATA)
    add_question(parser)
    shown = between(0, EXTREMES)
    parser.add_argument("--like", type=int, metavar="ROW", help="rows that act like it")
    parser.add_argument(
        "--top", type=shown, default=10, metavar="N", help="highest rows to show"
    )
    parser.add_argument(
        "--bottom", type=shown, default=0, metavar="N", help="lowest rows to show"
    )
    parser.add_argument(
        "--tokens", action="store_true", help="which tokens each row's score is of"
    )
    parser.add_argument(
        "--whole", action="store_true", help="show the whole text of each row"
    )
    parser.add_argument(
        "--writes",
        action="store_true",
        help="show which tokens a step on each row makes the unit write more, and less",
    )
    parser.add_argument("--output", metavar="FILE", help="the ranked table (.tsv)")
    args = parser.parse_args()
    if args.like is not None and (args.probe or args.data or args.damping):
        parser.error("--like asks without a probe: no --probe, --data or --damping")
    if args.like is not None and args.tokens:
        parser.error("--tokens needs a probe: likeness to a row has no parts")
    return args


def show(table, experiment, tokenizer, args, parts, written):
    """Print rows of a ranked table, and what else was asked of each."""
    from headwater.report.listing import INDENT, PLACE, WIDTH, document, text_lines
    from headwater.report.listing import decoded as text
    from headwater.report.visible import plain

    rows = experiment.window.rows
    print(
        f"rank       row   step      score  {'domain':12s} {'document':{PLACE}s} text"
    )
    for place, line in enumerate(table.itertuples()):
        tokens = rows.tokens(line.row, line.row + 1)[0]
        where = document(rows, line.row, args.whole)
        start = "" if args.whole else text(tokens, tokenizer)[:WIDTH]
        print(
            f"{line.rank:4d}  {line.row:8d}  {line.step:5d}  {line.score:+9.3g}  "
            f"{plain(line.domain)[:12]:12s} {where:{PLACE}s} {start}".rstrip()
        )
        own = None if parts is None else parts[place]
        for below in text_lines(tokens, tokenizer, own, args.whole):
            print(below)
        if written is not None:
            for what, ids in zip(("in", "out"), written[place].tolist(), strict=True):
                names = " | ".join(text([i], tokenizer) for i in ids)
                print(f"{INDENT}pushes {what}: {names}")


def main():
    escape_unprintable()
    args = arguments()
    config = read_config_file(args.configfile)
    results = Path("results") / config["experiment"]
    question = typed_question(args, config, results, like=args.like is not None)

    # Slow to import, and nothing for a command that was misspelt.
    import pandas as pd
    from tokenizers import Tokenizer

    from headwater.influence.exact import token_parts
    from headwater.influence.query import Experiment
    from headwater.report.sentences import sharing_sentence
    from headwater.tables import table_text

    configure_logging(None)
    experiment = Experiment(results, config, args.configfile)
    choice, window = experiment.choice, experiment.window
    print(echo(question, config, args.configfile, choice, len(window)), file=sys.stderr)
    answer = None
    if args.like is not None:
        table = experiment.rows_like(question.unit, args.like)
    else:
        answer = experiment.answer(question)
        table = experiment.ranked(answer)
    if args.output:
        write_answer(args.output, table_text(table))
    if told := sharing_sentence(question.unit, config):
        print(told)
    highest, lowest = table.head(args.top), table.tail(min(args.bottom, len(table)))
    shown = pd.concat([highest, lowest]).drop_duplicates("row")
    numbers = shown["row"].tolist()
    parts = written = None
    if args.tokens and answer is not None:
        parts = experiment.stored_parts(question, numbers)
        if not parts:
            rows = window.take(shown["row"].to_numpy() - window.first)
            parts = token_parts(experiment, answer, list(rows), numbers)
    if args.writes:
        written = experiment.written(question.unit, numbers)
    tokenizer = str(results / "corpus" / "tokenizer" / "tokenizer.json")
    show(shown, experiment, Tokenizer.from_file(tokenizer), args, parts, written)


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
