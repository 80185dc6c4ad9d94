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
from headwater.publish import publish_file

SUFFIXES = (".jsonl", ".npy")


def from_zero(text):
    """A whole number that is not negative, for argparse."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return int(text)


def arguments():
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
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


def fresh_rows(generator, training, count, most_shared):
    """Rows that share no span above `most_shared`; their motifs; how many were not."""
    import numpy as np

    from headwater.catalysts.copies import sharing

    kept, motifs, done, refused = [], [], 0, 0
    while (have := sum(map(len, kept))) < count:
        rows, own = generator.rows(done, count - have)
        done += len(rows)
        copied = sharing(rows, training, most_shared + 1)
        refused += int(copied.sum())
        if refused > 2 * count:
            raise HeadwaterError(
                f"{refused:,} of {done:,} rows share more than {most_shared} tokens in "
                "a row with a training row; give the motifs more slots or longer ones, "
                "or raise --most-shared"
            )
        kept.append(rows[~copied])
        motifs.append(own[~copied])
    empty = np.zeros((0, generator.width), np.int64)
    none = np.zeros(0, np.int64)
    return np.concatenate([empty, *kept]), np.concatenate([none, *motifs]), refused


def write(path, rows, motifs, names, encoder):
    """Publish the rows, as the file's name wants them."""
    import numpy as np

    with publish_file(path) as part:
        if path.suffix == ".npy":
            with part.open("wb") as file:
                np.save(file, rows.astype(np.uint32))
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
    from headwater.catalysts.generator import Generator
    from headwater.catalysts.motiffile import read_motifs
    from headwater.corpus.encoding import Encoder
    from headwater.corpus.holdout import token_counts
    from headwater.corpus.records import unigram
    from headwater.corpus.rows import Rows

    results = Path("results") / config["experiment"]
    corpus = results / "corpus"
    shards = [corpus / f"{i:04d}.zarr" for i in range(config["corpus"]["row_shards"])]
    stored = Rows(shards, config)
    encoder = Encoder.open(corpus / "tokenizer", config)
    programs = read_motifs(
        Path(args.motifs),
        lambda text: encoder.encode([text])[0].ids.tolist(),
        lambda tokens: encoder.decode_many([np.array(tokens)])[0],
        encoder.vocabulary,
    )
    counts = token_counts(corpus / "held_out.zarr", config)
    distribution = unigram(counts, encoder.special_ids)
    generator = Generator(programs, stored.width, distribution, args.seed)

    def training():
        size = max(1, (1 << 22) // stored.width)
        for first in range(0, len(stored), size):
            yield stored.tokens(first, min(first + size, len(stored)))

    most = stored.width // 2 if args.most_shared is None else args.most_shared
    rows, motifs, refused = fresh_rows(generator, training, args.rows, most)
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
