"""What was found, in plain words; and a page with the tables behind it."""

from pathlib import Path

from headwater import job
from headwater.corpus.domains import planted
from headwater.heads.targets import read_choice
from headwater.interventions.runs import BASELINE
from headwater.publish import write_text
from headwater.report.pages import tables_page
from headwater.report.summary import Tables, summary_text
from headwater.report.tables import (
    judged_tables,
    published_table,
    read_tables,
    titled,
)
from headwater.tables import read_table


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        domains = read_tables(map(Path, inputs.domains), ".domains.tsv")
        tables = Tables(
            experiment=config["experiment"],
            window_target=config["window"]["target"],
            arms=config["arms"],
            choice=read_choice(Path(inputs.window), map(Path, inputs.targets), config),
            baseline=read_table(Path(inputs.baseline) / f"{BASELINE}.tsv"),
            summary=read_table(Path(inputs.summary)),
            domains=domains,
            fidelity=read_table(Path(inputs.fidelity)),
            verdicts=read_table(Path(inputs.verdicts)),
            specificity=read_table(Path(inputs.specificity)),
            planted=planted(config),
            checkpoints=config["window"]["checkpoints"],
        )
        folder = Path(snakemake.output.text).parent
        pages = snakemake.params.places.items()
        text = summary_text(tables, {str(folder / name): what for name, what in pages})
        effects = read_table(Path(inputs.effects))
        shown = titled(tables.summary, effects, domains, tables.fidelity)
        shown |= judged_tables(tables.verdicts, tables.specificity)
        shown |= published_table(map(Path, inputs.published))
        page = tables_page(config["experiment"], text, shown)
        write_text(Path(snakemake.output.page), page)
        write_text(Path(snakemake.output.text), text)


main(snakemake)  # noqa: F821
