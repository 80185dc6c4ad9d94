"""The report: one page for a browser, and its numbers as tables beside it."""

from pathlib import Path

from headwater import job
from headwater.publish import write_text
from headwater.report.page.build import build
from headwater.report.page.data import write_data
from headwater.report.page.inputs import read_inputs


def main(snakemake):
    with job.start(snakemake) as config:
        results = Path("results", config["experiment"])
        run = read_inputs(snakemake.input, config, results)
        page = build(run)
        write_data(Path(snakemake.output.data), run, page)
        write_text(Path(snakemake.output.page), page.html)


main(snakemake)  # noqa: F821
