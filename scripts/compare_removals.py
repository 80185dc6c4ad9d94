"""What the removal of one target's top rows does to every head."""

from pathlib import Path

from headwater import job
from headwater.catalysts.targets import removal
from headwater.heads.targets import read_target
from headwater.tables import read_table, write_table


def main(snakemake):
    with job.start(snakemake) as config:
        heads = {
            Path(path).stem: read_target(Path(path), config).head
            for path in snakemake.input.targets
        }
        table = read_table(Path(snakemake.input.specificity))
        found = removal(table, snakemake.params.settings["arms"], heads)
        write_table(Path(snakemake.output[0]), found)


main(snakemake)  # noqa: F821
