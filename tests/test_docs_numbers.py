"""What the pages quote of runs is what those runs said: docs/runs has their results."""

import re
from pathlib import Path

import pytest

from headwater.report.claims import verdict_table
from headwater.tables import read_table

REPOSITORY = Path(__file__).parents[1]
RUNS = REPOSITORY / "docs/runs"
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
QUOTED = re.compile(r"<!-- from (\S+) -->\n+```text\n(.*?)```", re.DOTALL)


def quotations() -> list[tuple[str, str, str]]:
    """Page, file and text of every block that a page quotes of a run's results."""
    return [
        (page.name, file, block)
        for page in PAGES
        for file, block in QUOTED.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "file", "block"), quotations())
def test_a_quoted_block_stands_in_the_runs_own_file(page, file, block) -> None:
    assert block in (REPOSITORY / file).read_text(encoding="utf-8")


def test_the_readme_and_the_evidence_quote_their_runs() -> None:
    assert {"README.md", "evidence.md"} <= {page for page, _, _ in quotations()}


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RUNS.glob("*/verdicts.tsv"))
)
def test_a_summary_of_verdicts_is_that_of_its_table(folder: Path) -> None:
    table, summary = read_table(folder / "verdicts.tsv"), folder / "summary.md"
    text = summary.read_text(encoding="utf-8")
    assert len(table)
    for claim, line in zip(table["metric"], table["claim"], strict=True):
        assert line.startswith(f"{claim} of ")
    if "study" in folder.name:
        for line in verdict_table(table):
            assert line in text
