"""Tabulate how like the rows of control arms are to those that they are to explain."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.interventions.files import read_match
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        lines = []
        for path in map(Path, snakemake.input):
            arm, _, draw = path.name.partition(".")[0].rpartition("-seed")
            match, rows = read_match(path, config), config["arms"][arm]["rows"]
            run = {"arm": arm, "rows": rows, "draw": int(draw)}
            lines += [{**run, **fact, "overlap": match.overlap} for fact in match.facts]
        write_table(Path(snakemake.output[0]), pd.DataFrame(lines))


main(snakemake)  # noqa: F821
