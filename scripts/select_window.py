"""Choose the window, and publish its checkpoints by role."""

from pathlib import Path

from headwater import job
from headwater.checkpoints.schedule import point_names
from headwater.heads.targets import choose_window, write_choice
from headwater.identity import identity
from headwater.publish import publish_links
from headwater.steps import step_numbers
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config:
        steps = dict(step_numbers(map(Path, snakemake.input.checkpoints)))
        scores = read_table(Path(snakemake.input.scores))
        choice = choose_window(config, scores, sorted(steps))
        roles = choice.roles(point_names(config["window"]))
        for target in map(Path, snakemake.output.roles):  # heads/start, heads/end, ...
            publish_links(steps[roles[target.name]], target)
        stamp = identity("window", config)
        write_choice(Path(snakemake.output.window), choice, stamp)
        window = choice.window
        job.logger.info(
            "window: steps %d to %d; influence at %s",
            *(window.start, window.end, ", ".join(map(str, choice.points))),
        )


main(snakemake)  # noqa: F821
