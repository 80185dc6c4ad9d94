"""Fetch the experiment's tokenizer from Hugging Face, or from a local folder."""

import logging
from pathlib import Path

from headwater import job
from headwater.config.files import with_checkpoint
from headwater.corpus.tokenizer import make_tokenizer
from headwater.identity import identity

logger = logging.getLogger("headwater")


def main(snakemake):
    with job.start(snakemake) as config:
        asked = config["corpus"]["tokenizer"]
        found = with_checkpoint(asked, config["checkpoints"], Path())
        logger.info("tokenizer: %s", found["name"])
        make_tokenizer(
            Path(snakemake.output[0]),
            found,
            [],
            config["corpus"]["on_bad_line"],
            config["model"].get("vocab_size"),
            identity("corpus", config, part="tokenizer"),
        )


main(snakemake)  # noqa: F821
