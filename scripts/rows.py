"""Which rows, documents and domains training saw at a step.

    .venv/bin/python scripts/rows.py --steps 1000:1010
    .venv/bin/python scripts/rows.py --steps 1000 --full
    .venv/bin/python scripts/rows.py --steps 1000:1010 --output steps.tsv \
        --configfile config/pythia-14m.yaml

Steps count from 0, and the last one named is not among them: 1000:1010 are ten steps.
What is printed is a line for each row; the table has one for each document in a row. Of
a published order (`corpus.pythia`) whose rows are not on this machine, only the bytes
of these steps are fetched.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options

WIDTH = 72
STEPS = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")
COLUMNS = ["step", "row", "row_domain", "domain", "source", "line"]
COLUMNS += ["start", "stop", "tokens", "text"]


def some_steps(text):
    """`1000:1010`, or one step; for argparse."""
    found = STEPS.fullmatch(text)
    first = int(found[1]) if found else 0
    last = int(found[2]) if found and found[2] else first + 1
    if not found or last <= first:
        raise argparse.ArgumentTypeError(
            f"{text!r} names no steps; write such as 1000, or 1000:1010 for ten"
        )
    return range(first, last)


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--steps", required=True, type=some_steps, metavar="A:B", help="steps A to B-1"
    )
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
        metavar="FILE",
        help="the experiment, as for snakemake (default: %(default)s)",
    )
    parser.add_argument("--full", action="store_true", help="print each row's text")
    parser.add_argument("--output", help="write the table there (.tsv)", metavar="FILE")
    return parser.parse_args()


def documents(row, text):
    """A line of the table for each document in a row; `text` decodes tokens."""
    ends = [*(span.token for span in row.spans[1:]), len(row.tokens)]
    for span, end in zip(row.spans, ends, strict=True):
        own = row.tokens[span.token : end]
        place = span.source, span.line, span.start, span.stop
        yield row.step, row.row, row.domain, span.domain, *place, len(own), text(own)


def show(row, text, full):
    """Print a row: a line, or all of its text with its documents."""
    from headwater.report.visible import plain

    shown = plain(text(row.tokens))
    if not full:
        head = f"{row.step:6d}  {row.row:9d}  {plain(row.domain)[:18]:18s}"
        print(f"{head} {len(row.spans):4d}  {shown[:WIDTH]}")
        return
    print(f"\nstep {row.step}, row {row.row}, {plain(row.domain)}")
    for span in row.spans:
        print(f"  from token {span.token}: {plain(span.domain)}, {plain(span.place)}")
    print("\n".join(map(plain, text(row.tokens).splitlines())))


def main():
    escape_unprintable()
    args = arguments()
    if args.output and not Path(args.output).parent.is_dir():
        raise HeadwaterError(f"{args.output}: its folder is not there")
    config = read_config_file(args.configfile)

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.corpus.encoding import Encoder
    from headwater.corpus.lookup import rows_of, seen_rows
    from headwater.report.visible import plain

    rows_of(args.steps, config)
    corpus = Path("results") / config["experiment"] / "corpus"
    encoder = Encoder.open(corpus / "tokenizer", config)

    def text(tokens):
        return encoder.decode_many([tokens])[0]

    if not args.full:
        print("  step        row  domain             docs  text")
    lines, domains, count = [], Counter(), 0
    for row in seen_rows(args.steps, corpus, encoder, config):
        show(row, text, args.full)
        domains[row.domain] += 1
        count += 1
        if args.output:
            lines += documents(row, text)
    shares = ", ".join(
        f"{plain(name)} {number}" for name, number in domains.most_common()
    )
    print(f"\n{count} rows in {len(args.steps)} steps; by domain: {shares}")
    if args.output:
        import pandas as pd

        from headwater.report.asking import write_answer
        from headwater.tables import table_text

        write_answer(args.output, table_text(pd.DataFrame(lines, columns=COLUMNS)))


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
