"""How well each ranking finds planted rows, whose truth only the row store knows."""

from pathlib import Path

from headwater import job
from headwater.corpus.domains import RECORDS, generated
from headwater.corpus.holdout import token_counts
from headwater.errors import HeadwaterError
from headwater.heads.targets import open_window
from headwater.influence.examination import examination
from headwater.influence.files import read_losses, read_mda
from headwater.interventions.facts import read_facts
from headwater.interventions.measures import text_rankings
from headwater.tables import write_table


def main(snakemake):
    with job.start(snakemake) as config:
        if RECORDS not in (shares := generated(config)):
            raise HeadwaterError(
                "corpus.records.fraction: 0, so no row is planted that rankings could "
                "be examined by; see config/README.md"
            )
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        sources = window.rows.first_sources(window.first, window.first + len(window))
        names = window.rows.sources
        kinds = {kind: sources == names.index(kind) for kind in shares}
        scores = Path(inputs.scores)
        rankings = {
            "mda": read_mda(scores, config),
            "loss": read_losses([scores], config),
            **text_rankings(window, token_counts(Path(inputs.held_out), config)),
        }
        for path in map(Path, inputs.facts):
            rankings |= read_facts(path, config)
        del rankings["length"]  # rows are of one length here
        table = examination(rankings, kinds, RECORDS)
        write_table(Path(snakemake.output[0]), table)
        for line in table.itertuples():
            text = "%s: AUC %.3f against all rows, precision in the top 10 %% %.3f"
            job.logger.info(text, line.ranking, line.auc_all, line.precision_10)


main(snakemake)  # noqa: F821
