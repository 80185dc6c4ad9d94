"""Fetch a published checkpoint, from the hub or a local folder."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.revisions import source_names
from headwater.checkpoints.source import fetch_checkpoint
from headwater.identity import identity


def main(snakemake):
    with job.start(snakemake) as config:
        folder = snakemake.wildcards.revision
        revision = source_names(config["checkpoints"])[folder]
        stamp = identity("source", config, revision=revision)
        fetch_checkpoint(Path(snakemake.output[0]), revision, config, stamp)


main(snakemake)  # noqa: F821
