"""Train the experiment's tokenizer on the corpus."""

from pathlib import Path

from headwater import job
from headwater.corpus.files import text_file
from headwater.corpus.tokenizer import make_tokenizer
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        make_tokenizer(
            Path(snakemake.output[0]),
            config["corpus"]["tokenizer"],
            [text_file(Path(p)) for p in snakemake.input.texts],
            config["corpus"]["on_bad_line"],
            config["model"].get("vocab_size"),
            identity("corpus", config, part="tokenizer"),
        )


main(snakemake)  # noqa: F821
