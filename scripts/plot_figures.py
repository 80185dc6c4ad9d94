"""The figures for papers: each as SVG and PDF in two sizes, its table beside it."""

from pathlib import Path

from headwater import job
from headwater.heads.targets import read_choice
from headwater.influence.files import read_scores
from headwater.interventions.runs import run_tables
from headwater.interventions.subsets import claimed
from headwater.report.figures import FIGURES
from headwater.report.figures.base import SIZES, Results, Subject, applied, save
from headwater.report.tables import read_tables
from headwater.report.words import arm_labels
from headwater.tables import read_table, write_table


def read(inputs, config):
    """All results that the figures show."""
    target, domains = config["window"]["target"], map(Path, inputs.domains)
    tables = read_tables(domains, ".domains.tsv")
    arms = claimed(config["arms"]) if inputs.get("runs") else {}
    subject = Subject(
        choice=read_choice(Path(inputs.window), map(Path, inputs.targets), config),
        window_target=target,
        arms=arms,
        labels=arm_labels(arms, tables, target),
    )
    found = {
        Path(path).stem: read_scores([Path(path)], config) for path in inputs.influence
    }
    heads = read_table(Path(inputs.scores))
    if not arms:
        return Results(subject, heads, tables, found)
    runs = read_tables(run_tables(map(Path, inputs.runs)))
    effects = read_table(Path(inputs.effects))
    return Results(subject, heads, tables, found, runs, effects)


def main(snakemake):
    with job.start(snakemake) as config, applied():
        results = read(snakemake.input, config)
        folder = Path(snakemake.output[0]).parent
        for name in snakemake.params.figures:
            figure = FIGURES[name]
            table = figure.table(results)
            write_table(folder / f"{name}.tsv", table)
            for size in SIZES:
                drawn = figure.draw(table, results.subject, size)
                save(drawn, folder / f"{name}{size.suffix}")


main(snakemake)  # noqa: F821
