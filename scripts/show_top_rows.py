"""The page of each target's highest rows, as text with their sources."""

from pathlib import Path

from tokenizers import Tokenizer

from headwater import job
from headwater.corpus.domains import planted
from headwater.corpus.rows import Rows
from headwater.heads.targets import read_choice
from headwater.influence.files import read_tokens
from headwater.publish import write_text
from headwater.report import pages
from headwater.report.tables import published_table, read_tables


def main(snakemake):
    with job.start(snakemake) as config:
        choice = read_choice(
            Path(snakemake.input.window), map(Path, snakemake.input.targets), config
        )
        rows = Rows([Path(p) for p in snakemake.input.rows], config)
        folder = Path(snakemake.input.tokenizer)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        count = config["report"]["top_rows"]
        tokens = {
            Path(p).name.split(".")[0]: read_tokens(Path(p), config)
            for p in snakemake.input.tokens
        }
        ranked = read_tables(map(Path, snakemake.input.ranked))
        targets = [
            pages.TopRows(
                name=name,
                target=choice.targets[name],
                rows=pages.top_rows(table, rows, tokenizer, tokens[name], count),
            )
            for name, table in ranked.items()
        ]
        page = pages.top_rows_page(
            config["experiment"],
            targets,
            choice,
            config["corpus"]["seq_len"],
            planted(config),
            config["window"]["checkpoints"],
            published_table(map(Path, snakemake.input.published)),
        )
        write_text(Path(snakemake.output[0]), page)


main(snakemake)  # noqa: F821
