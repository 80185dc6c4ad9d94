"""The verdict on every claim about the arms, as far as one run can give one."""

from pathlib import Path

from headwater import job
from headwater.evaluation.verdicts import Unit, units, verdicts
from headwater.heads.targets import read_target
from headwater.tables import read_table, write_table


def main(snakemake):
    with job.start(snakemake) as config:
        target = read_target(Path(snakemake.input.target[0]), config)
        effects, others = (
            {config["experiment"]: read_table(Path(path))}
            for path in (snakemake.input.effects, snakemake.input.control_units)
        )
        own = Unit(config["window"]["target"], target.unit, effects)
        table = verdicts(config["arms"], units(own, others))
        write_table(Path(snakemake.output[0]), table)


main(snakemake)  # noqa: F821
