"""Write fresh rows after the motifs of a file.

    .venv/bin/python scripts/generate.py MOTIFS.json --rows 10000 --output rows.jsonl

where MOTIFS.json is such as results/laptop/catalysts/induction.motifs.json.
A row is one motif over and over, its slots filled anew; the motif file says how, and
may be edited. Rows that share a long span with a training row are left out, and the
longest span that is shared is told. For another experiment than config/config.yaml add
`--configfile config/mine.yaml`.
"""

import argparse
import json
import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options
from headwater.publish import publish_file

SUFFIXES = (".jsonl", ".npy")


def from_zero(text):
    """A whole number that is not negative, for argparse."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return int(text)


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument("motifs", help="such as results/<...>/<target>.motifs.json")
    parser.add_argument("--rows", type=from_zero, default=1000, metavar="N")
    parser.add_argument("--seed", type=from_zero, default=0, metavar="N")
    parser.add_argument(
        "--most-shared",
        type=from_zero,
        metavar="TOKENS",
        help="leave out rows that share a longer span with a training row (default: "
        "half a row)",
    )
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
        metavar="FILE",
        help="the experiment, as for snakemake (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        default="rows.jsonl",
        metavar="FILE",
        help="JSON lines with input_ids, motif and text, or .npy with token ids alone "
        "(default: %(default)s)",
    )
    return parser.parse_args()


def write(path, rows, motifs, names, encoder):
    """Publish the rows, as the file's name wants them."""
    import numpy as np

    with publish_file(path) as part:
        if path.suffix == ".npy":
            with part.open("wb") as file:
                np.save(file, rows)
            return
        with part.open("w", encoding="utf-8") as file:
            for begin in range(0, len(rows), 4096):
                some = rows[begin : begin + 4096]
                texts = encoder.decode_many(list(some))
                for row, motif, text in zip(
                    some.tolist(), motifs[begin : begin + 4096], texts, strict=True
                ):
                    line = {"motif": names[motif], "input_ids": row, "text": text}
                    file.write(json.dumps(line) + "\n")


def main():
    escape_unprintable()
    args = arguments()
    output = Path(args.output)
    if output.suffix not in SUFFIXES:
        raise HeadwaterError(f"{output}: its name must end in .jsonl or .npy")
    if not output.parent.is_dir():
        raise HeadwaterError(f"{output}: its folder is not there")
    config = read_config_file(args.configfile)

    # Slow to import, and nothing for a command that was misspelt.
    import numpy as np

    from headwater.catalysts.copies import longest_shared
    from headwater.catalysts.fresh import (
        every_row,
        fresh_rows,
        longest_allowed,
        programs_of,
    )
    from headwater.catalysts.generator import Generator
    from headwater.corpus.encoding import Encoder
    from headwater.corpus.files import row_shards
    from headwater.corpus.holdout import token_counts
    from headwater.corpus.records import unigram
    from headwater.corpus.rows import Rows

    results = Path("results") / config["experiment"]
    corpus = results / "corpus"
    stored = Rows(row_shards(corpus, config), config)
    encoder = Encoder.open(corpus / "tokenizer", config)
    programs = programs_of(Path(args.motifs), encoder)
    counts = token_counts(corpus / "held_out.zarr", config)
    distribution = unigram(counts, encoder.special_ids)
    generator = Generator(programs, stored.width, distribution, args.seed)
    training, most = every_row(stored), args.most_shared
    if most is None:
        most = longest_allowed(stored.width)
    rows, motifs, refused = fresh_rows(
        *(generator, training, args.rows, most),
        dtype=np.dtype(np.uint32),
        advice="raise --most-shared",
    )
    longest = longest_shared(rows, training, most + 1)
    write(output, rows, motifs, [program.name for program in programs], encoder)
    left_out = f"; {refused:,} that share more were left out" if refused else ""
    print(
        f"{output}: {len(rows):,} rows of {stored.width:,} tokens after "
        f"{len(programs)} motifs. Longest span shared with one of the {len(stored):,} "
        f"training rows: {longest} tokens{left_out}."
    )


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
