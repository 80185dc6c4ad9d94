"""Score rows that a finished experiment was never trained on.

    .venv/bin/python scripts/score.py induction --rows mine.jsonl
    .venv/bin/python scripts/score.py L1H3 --probe copying --rows mine.jsonl --tokens
    .venv/bin/python scripts/score.py induction --rows mine.jsonl --output scores.tsv

The scores are exact, at the experiment's own checkpoints, and on the scale of those of
its training rows, among which each has a percentile. For another experiment than
config/config.yaml add `--configfile config/mine.yaml`. The unit must be in the gradient
stores (`gradients.units` in the config).
"""

import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
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

ROWS = """
a line of --rows is a JSON object: {"text": "..."} or {"tokens": [ids]}; what is longer
than a row of the corpus is cut into rows, the last of which is shorter;"""
MOST = 100_000


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.partition("\n\n")[0], epilog=ROWS + DATA)
    add_question(parser)
    parser.add_argument(
        "--rows", required=True, metavar="FILE", help="rows to score (JSON lines)"
    )
    parser.add_argument(
        "--top",
        type=between(0, MOST),
        default=20,
        metavar="N",
        help="highest rows to show (default: %(default)s; all are in --output)",
    )
    parser.add_argument(
        "--tokens", action="store_true", help="which tokens each row's score is of"
    )
    parser.add_argument(
        "--whole", action="store_true", help="show the whole text of each row"
    )
    parser.add_argument("--output", metavar="FILE", help="all scores (.tsv)")
    return parser.parse_args()


def new_rows(path, experiment, encoder):
    """The rows of the file; says on stderr what was cut."""
    from headwater.influence.newrows import encode_with, read_new_rows

    width = experiment.window.rows.width
    found = read_new_rows(path, encode_with(encoder), encoder.vocabulary, width)
    lines = len({row.line for row in found})
    if len(found) > lines:
        longer = len({row.line for row in found if row.part > 1})
        print(
            f"{longer:,} of {lines:,} lines are longer than a row and were cut: "
            f"{len(found):,} rows of at most {width} tokens",
            file=sys.stderr,
        )
    short = sum(len(row.tokens) < width for row in found)
    if short:
        print(
            f"{short:,} of {len(found):,} rows have less than the {width} tokens of a "
            "training row; a score is a sum over tokens",
            file=sys.stderr,
        )
    return found


def scored(found, experiment, answer):
    """A line for every row, in the order of the file."""
    import pandas as pd

    from headwater.influence.exact import score_rows

    scores, losses = score_rows(experiment, answer, [row.tokens for row in found])
    return pd.DataFrame(
        {
            "line": [row.line for row in found],
            "part": [row.part for row in found],
            "tokens": [len(row.tokens) for row in found],
            "score": scores,
            "percentile": answer.percentiles(scores),
            "loss": losses,
        }
    )


def show(table, found, parts, tokenizer, whole):
    """Print the rows of a table, and what else was asked of each."""
    from headwater.report.listing import WIDTH, decoded, text_lines

    print(" line  part  tokens      score  percentile  nats/token  text")
    for place, line in enumerate(table.itertuples()):
        tokens = found[line.Index].tokens
        start = "" if whole else decoded(tokens, tokenizer)[:WIDTH]
        print(
            f"{line.line:5d}  {line.part:4d}  {line.tokens:6d}  {line.score:+9.3g}  "
            f"{line.percentile:10.1f}  {line.loss / (line.tokens - 1):10.3f}  "
            f"{start}".rstrip()
        )
        own = None if parts is None else parts[place]
        for below in text_lines(tokens, tokenizer, own, whole):
            print(below)


def main():
    escape_unprintable()
    args = arguments()
    config = read_config_file(args.configfile)
    results = Path("results") / config["experiment"]
    question = typed_question(args, config, results)
    if not Path(args.rows).is_file():
        raise HeadwaterError(f"{args.rows}: no such file")

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.corpus.encoding import Encoder
    from headwater.influence.exact import token_parts
    from headwater.influence.query import Experiment
    from headwater.report.sentences import sharing_sentence
    from headwater.tables import table_text

    configure_logging(None)
    experiment = Experiment(results, config, args.configfile)
    choice, rows = experiment.choice, len(experiment.window)
    print(echo(question, config, args.configfile, choice, rows), file=sys.stderr)
    encoder = Encoder.open(results / "corpus" / "tokenizer", config)
    found = new_rows(Path(args.rows), experiment, encoder)
    answer = experiment.answer(question)
    table = scored(found, experiment, answer)
    if args.output:
        write_answer(args.output, table_text(table))
    if told := sharing_sentence(question.unit, config):
        print(told)
    top = table.sort_values("score", ascending=False, kind="stable").head(args.top)
    parts = None
    if args.tokens:
        own = [found[place].tokens for place in top.index]
        parts = token_parts(experiment, answer, own)
    show(top, found, parts, encoder.tokenizer, args.whole)
    if len(top) < len(table):
        print(f"{len(top):,} of {len(table):,} rows shown", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
