"""What the pages quote of runs is what those runs said: docs/runs has their results."""

import importlib.util
from pathlib import Path

import pytest

from headwater.report.claims import verdict_table
from headwater.tables import read_table, table_text

REPOSITORY = Path(__file__).parents[1]
RUNS = REPOSITORY / "docs/runs"


def benchmark(name: str):
    """A file of benchmarks/, as a module."""
    path = REPOSITORY / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


quote, lds, catalysts, league = map(benchmark, ("quote", "lds", "catalysts", "league"))
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in quote.PAGES}


@pytest.mark.parametrize("page", TEXTS)
def test_a_quoted_block_is_what_the_runs_own_file_says(page: str) -> None:
    for block, right in quote.quotations(TEXTS[page]):
        assert block == right
    assert quote.requoted(TEXTS[page]) == TEXTS[page]
    assert TEXTS[page].count("<!-- from ") == len([*quote.quotations(TEXTS[page])])


def test_the_readme_and_the_evidence_quote_their_runs() -> None:
    assert {"README.md", "evidence.md"} <= {
        page for page, text in TEXTS.items() if [*quote.quotations(text)]
    }


def test_a_block_that_says_otherwise_is_put_right() -> None:
    text = TEXTS["README.md"]
    block, _ = next(quote.quotations(text))
    wrong = text.replace(block, block.replace("Head ", "Tail "))
    assert wrong != text
    assert quote.requoted(wrong) == text
    with pytest.raises(ValueError, match="no lines from 'Nothing' until 'area:'"):
        quote.requoted(text.replace('"Head" until', '"Nothing" until'))


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


def test_the_scores_of_the_bank_are_those_of_its_table() -> None:
    lines = "\n".join(lds.lines(read_table(RUNS / "bank/lds.tsv"))) + "\n"
    assert lines == (RUNS / "bank/summary.md").read_text(encoding="utf-8")
    assert lines.count("\n") > 15


def test_the_league_of_scores_is_that_of_its_banks() -> None:
    table, text = league.league()
    kept = RUNS / "scores/league.tsv"
    assert table_text(table) == kept.read_text(encoding="utf-8")
    assert text == kept.with_suffix(".md").read_text(encoding="utf-8")
    assert league.shown(text) == TEXTS["scores.md"]
    assert len(league.SHOWN.findall(TEXTS["scores.md"])) == 1


def test_what_the_top_rows_share_is_told_as_its_tables_say() -> None:
    stored = {name: read_table(RUNS / f"laptop/{name}.tsv") for name in catalysts.NAMES}
    lines = "\n".join(catalysts.lines(stored)).rstrip() + "\n\nEnd\n"
    assert lines == (RUNS / "laptop/catalysts.md").read_text(encoding="utf-8")
    text = TEXTS["catalysts.md"]
    columns = stored["catalysts-columns"].set_index(["target", "name"])
    for name in ("repeats_2", "repeats_4", "gzip", "far_repeats"):
        line = columns.loc[("induction", name)]
        shown = f"{line['coefficient']:+.2f} [{line['low']:+.2f}, {line['high']:+.2f}]"
        assert f"`{name}` {shown}" in text
    latex = columns.xs("latex", level="name").loc["induction"]
    latex = latex[latex["group"] == "structure"].iloc[0]
    shown = f"{latex['coefficient']:+.2f} [{latex['low']:+.2f}, {latex['high']:+.2f}]"
    assert f"`latex` {shown}" in text


def cells(page: str, heading: str) -> list[list[str]]:
    """The lines of the table below its first heading, without stars."""
    lines = TEXTS[page].split(f"| {heading} |", 1)[1].splitlines()[2:]
    rows = lines[: lines.index("")]
    return [[c.strip() for c in row.replace("*", "").split("|")[1:-1]] for row in rows]


def test_the_census_of_the_finished_model_is_its_table() -> None:
    heads = read_table(RUNS / "smollm2/heads.tsv")
    best = heads.sort_values("prefix_matching", ascending=False)
    shown = cells("a-finished-model.md", "head")
    names = ("", "_before", "_after", "_shuffled")
    for row, (_, line) in zip(shown, best.iterrows(), strict=False):
        values = [f"{line['prefix_matching' + name]:.2f}"[1:] for name in names]
        assert row == [line["head"], values[0], ", ".join(values[1:3]), values[3]]
    found = (heads["prefix_matching"] > 0.3).sum()
    text = TEXTS["a-finished-model.md"]
    assert f"Of {len(heads)} heads {found} are above .3" in text


def test_the_domains_of_the_finished_model_are_their_tables() -> None:
    tables = [
        read_table(RUNS / f"smollm2/{name}.domains.tsv").set_index("domain")
        for name in ("induction", "group")
    ]
    for row in cells("a-finished-model.md", "domain"):
        name = row[0].split(" ")[0]
        shares = [tables[0]["share"][name], *(t["share_top"][name] for t in tables)]
        assert row[1:] == [f"{100 * share + 1e-9:.0f} %" for share in shares]
