"""Choose heads and window, and publish the window's checkpoints by role."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.heads.targets import choose, write_choice
from headwater.publish import publish_links
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        choice = choose(config, pd.read_csv(snakemake.input.scores, sep="\t"))
        steps = {Path(p).name: Path(p) for p in snakemake.input.checkpoints}
        for role in map(Path, snakemake.output.roles):  # heads/start, heads/end
            step = getattr(choice.window, role.name)
            publish_links(steps[f"step{step}"], role)
        stamp = identity("heads", config)
        write_choice(Path(snakemake.output.targets), choice, stamp)
        for name, target in choice.targets.items():
            job.logger.info(
                "target %s: head %s (%s), %s %.3f at the last checkpoint",
                *(name, target.head, target.chosen, target.score, target.final),
            )
        window = choice.window
        job.logger.info("window: steps %d to %d", window.start, window.end)


main(snakemake)  # noqa: F821
