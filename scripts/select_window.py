"""Choose the window, and publish its checkpoints by role."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.heads.targets import choose_window, write_window
from headwater.publish import publish_links
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        steps = {int(Path(p).name[4:]): Path(p) for p in snakemake.input.checkpoints}
        scores = pd.read_csv(snakemake.input.scores, sep="\t")
        choice = choose_window(config, scores, sorted(steps))
        for step, target in zip(choice.points, snakemake.output.points, strict=True):
            publish_links(steps[step], Path(target))
        stamp = identity("window", config)
        write_window(Path(snakemake.output.window), choice, stamp)
        window = choice.window
        job.logger.info(
            "window: steps %d to %d; influence at %s",
            *(window.start, window.end, ", ".join(map(str, choice.points))),
        )


main(snakemake)  # noqa: F821
