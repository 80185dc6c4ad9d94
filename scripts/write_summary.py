"""What was found, in plain words."""

from pathlib import Path

from headwater import job
from headwater.corpus.domains import generated, planted
from headwater.heads.targets import read_choice
from headwater.interventions.runs import BASELINE
from headwater.interventions.subsets import claimed
from headwater.models.sections import unit_of
from headwater.publish import write_text
from headwater.report import words
from headwater.report.sentences import sharing_sentence
from headwater.report.summary import Tables, summary_text
from headwater.report.tables import read_tables
from headwater.tables import read_table


def about(arms, path):
    """A table by arm, without the arms that nothing is claimed of."""
    table = read_table(Path(path))
    return table[table["arm"].isin([BASELINE, *arms])]


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, arms = snakemake.input, claimed(config["arms"])
        domains = read_tables(map(Path, inputs.domains), ".domains.tsv")
        choice = read_choice(Path(inputs.window), map(Path, inputs.targets), config)
        unit = unit_of(choice.targets[config["window"]["target"]].unit, config)
        tables = Tables(
            experiment=config["experiment"],
            window_target=config["window"]["target"],
            arms=arms,
            choice=choice,
            baseline=read_table(Path(inputs.baseline) / f"{BASELINE}.tsv"),
            summary=about(arms, inputs.summary),
            domains=domains,
            fidelity=read_table(Path(inputs.fidelity)),
            verdicts=read_table(Path(inputs.verdicts)),
            specificity=about(arms, inputs.specificity),
            planted=planted(config),
            ranked_by=words.ranked_by(config),
            shared=sharing_sentence(unit, config),
            hidden=0.0 if planted(config) else sum(generated(config).values()),
        )
        target = Path(snakemake.output[0])
        pages = snakemake.params.places.items()
        places = {str(target.parent / name): what for name, what in pages}
        write_text(target, summary_text(tables, places))


main(snakemake)  # noqa: F821
