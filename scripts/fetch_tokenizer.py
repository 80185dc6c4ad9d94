"""Fetch the experiment's tokenizer from Hugging Face, or from a local folder."""

from pathlib import Path

from headwater import job, stages
from headwater.corpus.tokenizer import make_tokenizer


def main(snakemake):
    with job.start(snakemake) as config:
        make_tokenizer(
            Path(snakemake.output[0]),
            config["corpus"]["tokenizer"],
            [],
            config["corpus"]["on_bad_line"],
            config["model"].get("vocab_size"),
            stages.identity("corpus", config, part="tokenizer"),
        )


main(snakemake)  # noqa: F821
