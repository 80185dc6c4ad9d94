"""The figure of the causal test: head score and ICL score of every run."""

from pathlib import Path

from headwater import job
from headwater.corpus.domains import planted
from headwater.heads.targets import read_choice
from headwater.interventions.runs import run_tables
from headwater.interventions.subsets import claimed
from headwater.report import emergence, style
from headwater.report.tables import read_tables
from headwater.report.words import arm_labels
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config, style.applied():
        target, arms = config["window"]["target"], claimed(config["arms"])
        domains = read_tables(map(Path, snakemake.input.domains), ".domains.tsv")
        data = emergence.CausalTest(
            choice=read_choice(
                Path(snakemake.input.window), map(Path, snakemake.input.targets), config
            ),
            window_target=target,
            arms=arms,
            labels=arm_labels(arms, domains, target),
            domains=domains,
            scores=read_table(Path(snakemake.input.scores)),
            runs=read_tables(run_tables(map(Path, snakemake.input.runs))),
            planted=planted(config),
        )
        figure = emergence.draw(data)
        outputs = snakemake.output
        style.save_figure(figure, Path(outputs.png), Path(outputs.svg))


main(snakemake)  # noqa: F821
