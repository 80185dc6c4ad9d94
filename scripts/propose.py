r"""Ask a language model for motifs of a target's top rows, and test what it says.

    OPENAI_API_KEY=... .venv/bin/python scripts/propose.py induction \
        --url https://api.example.org/v1 --model some-model --output mine.motifs.json

The service must be OpenAI-compatible (`/chat/completions`); one on this machine needs
no key. **The text of some rows is sent to it.** Its answer is JSON that is checked,
never run; a skeleton that the top rows do not have more often than random rows is left
out. What is kept is a motif file for `action: generate` and scripts/generate.py. An
answer is kept, and not asked for again. `snakemake motifs` must have been run.
"""

import os
import sys
from pathlib import Path

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.logs import configure_logging, escape_unprintable
from headwater.options import Options

KEY = "OPENAI_API_KEY"


def arguments():
    """What was typed."""
    parser = Options(description=__doc__.partition("\n\n")[0])
    parser.add_argument("target", help="such as induction")
    parser.add_argument("--url", required=True, help="of the service, up to /v1")
    parser.add_argument("--model", required=True, help="as the service calls it")
    parser.add_argument(
        "--key-from",
        default=KEY,
        metavar="NAME",
        help="environment variable that has the key (default: %(default)s)",
    )
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=["config/config.yaml"],
        metavar="FILE",
        help="the experiment, as for snakemake (default: config/config.yaml)",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="motif file")
    return parser.parse_args()


def main():
    escape_unprintable()
    args = arguments()
    output = Path(args.output)
    if not output.parent.is_dir():
        raise HeadwaterError(f"{output}: its folder is not there")
    config = read_config_file(*args.configfile)
    if args.target not in config["targets"]:
        names = ", ".join(config["targets"])
        raise HeadwaterError(f"{args.target}: no target of the config; it has {names}")
    results = Path("results") / config["experiment"]
    if not (results / f"catalysts/{args.target}.motifs.json").is_file():
        raise HeadwaterError(
            f"{results}: no motifs of {args.target} yet; run snakemake motifs first"
        )

    # Slow to import, and nothing for a command that was misspelt.
    from headwater.catalysts.motiffile import write_motifs
    from headwater.catalysts.motifwords import motif_file
    from headwater.catalysts.proposals import described, judged, question, read_answer
    from headwater.catalysts.search import Files, read_sample
    from headwater.corpus.files import row_shards
    from headwater.heads.targets import read_target
    from headwater.net.chat import Service

    configure_logging(None)
    key = os.environ.get(args.key_from, "")
    service = Service(args.url, args.model, key, results / "catalysts/answers")
    files = Files(
        window=results / "heads/window.json",
        rows=row_shards(results / "corpus", config),
        tokenizer=results / "corpus/tokenizer",
        scores=results / f"influence/{args.target}.zarr",
        features=sorted((results / "catalysts/features").glob("*.h5")),
    )
    sample, named, encoder, _ = read_sample(files, config, args.target)
    proposals = read_answer(service.ask(question(sample, named)))

    def encode(text):
        return encoder.encode([text])[0].ids.tolist()

    found = list(judged(proposals, sample, named, encode))
    print("\n".join(described(found)))
    kept = [one.motif for one in found if one.motif is not None]
    if not kept:
        raise HeadwaterError(
            f"{service.shown}: none of its {len(found)} proposals is more frequent in "
            "top rows; nothing was written"
        )
    unit = read_target(results / f"heads/targets/{args.target}.json", config).unit
    about = {"target": args.target, "unit": unit}
    write_motifs(output, motif_file(kept, sample, named, **about))
    print(f"{output}: {len(kept)} of {len(found)} proposals")


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
