"""What docs/catalysts.md tells of one run: its tables, and their lines.

    .venv/bin/python benchmarks/catalysts.py results/laptop

makes docs/runs/laptop/catalysts*.tsv of a finished run (`snakemake catalysts motifs`)
and docs/runs/laptop/catalysts.md of these; then `benchmarks/quote.py` quotes them.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from headwater.publish import write_text  # noqa: E402
from headwater.report.visible import plain  # noqa: E402
from headwater.tables import read_table, write_table  # noqa: E402

RUNS = REPOSITORY / "docs/runs/laptop"
VIEWS, BANDS = ("all", "domain and loss"), ("top_10", "bottom_10")
NAMES = ("catalysts", "catalysts-groups", "catalysts-columns", "catalysts-motifs")
DIGITS = 6


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """The tables of a run, by the names of their files."""
    enriched, groups, columns, motifs = [], [], [], []
    for path in sorted(results.glob("catalysts/*.tsv")):
        target = path.stem
        table = read_table(path)
        kept = table["view"].isin(VIEWS) & table["band"].isin(BANDS)
        enriched.append(table[kept].assign(target=target))
        about = json.loads(path.with_suffix(".json").read_text("utf-8"))
        fitted = about["regression"]
        groups.append({"target": target, "group": "all", "alone": fitted["r2"]})
        groups += [{"target": target, **line} for line in fitted["groups"]]
        columns += [{"target": target, **line} for line in fitted["coefficients"]]
        for sign in ("positive", "negative"):
            held = {
                f"held_{100 * h['rows']:g}": h for h in about["lorenz"][sign]["held"]
            }
            groups.append(
                {"target": target, "group": f"{sign} mass held by 10 %"}
                | {"alone": held["held_10"]["mass"]}
            )
        found = json.loads(path.with_suffix(".motifs.json").read_text("utf-8"))
        motifs += [
            {
                "target": target,
                "skeleton": plain(motif["skeleton"].replace("\n", "↵")),
                "mass": motif["evidence"]["mass"],
                "random_rows": motif["evidence"]["random_rows"],
                "p": motif["evidence"]["p"],
            }
            for motif in found["motifs"]
        ]
    found_ = pd.concat(enriched), *map(pd.DataFrame, (groups, columns, motifs))
    return {
        name: table.round(DIGITS) for name, table in zip(NAMES, found_, strict=True)
    }


def lines(found: dict[str, pd.DataFrame]) -> Iterator[str]:
    """The lines that the page quotes."""
    for target, table in found["catalysts"].groupby("target", sort=True):
        yield f"{target}: ratio, top 10 % to all rows"
        heads = f"{'all':>17s}   {'same domains, loss':>18s}   {'bottom 10 %':>17s}"
        yield f"{'':18s} {heads}"
        cells = table.set_index(["kind", "name", "view", "band"])
        for kind, name in dict.fromkeys(zip(table["kind"], table["name"], strict=True)):
            shown = [
                _ratio(cells, (kind, name, view, band))
                for view, band in (
                    ("all", "top_10"),
                    ("domain and loss", "top_10"),
                    ("all", "bottom_10"),
                )
            ]
            words = f"domain {name}" if kind == "domain" else name
            yield f"{words:18s} {shown[0]:>17s}   {shown[1]:>18s}   {shown[2]:>17s}"
        yield ""
    for target, table in found["catalysts-groups"].groupby("target", sort=True):
        yield f"{target}: R2 on held-out documents; lost without the group"
        held = table["group"].str.contains(" mass ")
        for line in table[~held].itertuples():
            lost = "" if pd.isna(line.lost) else f"{line.lost:7.3f}"
            yield f"{line.group:18s} {line.alone:7.3f} {lost}".rstrip()
        for line in table[held].itertuples():
            yield f"{target}: {line.group} of the rows: {100 * line.alone:.0f} %"
        yield ""
    for target, table in found["catalysts-motifs"].groupby("target", sort=True):
        yield f"{target}: motifs; share of the top rows' influence, of random rows"
        for line in table.itertuples():
            text = (
                line.skeleton if len(line.skeleton) < 60 else line.skeleton[:59] + "…"
            )
            yield f"{line.mass:6.3f} {line.random_rows:6.3f}  {text}"
        yield ""


def _ratio(cells: pd.DataFrame, key: tuple[str, str, str, str]) -> str:
    if key not in cells.index:
        return "-"
    line = cells.loc[key]
    if pd.isna(line["low"]):
        return f"{line['ratio']:.2f}"
    return f"{line['ratio']:.2f} [{line['low']:.2f}, {line['high']:.2f}]"


def main() -> None:
    """Make the tables of a run, and their lines."""
    for name, table in tables(Path(sys.argv[1])).items():
        write_table(RUNS / f"{name}.tsv", table)
    stored = {name: read_table(RUNS / f"{name}.tsv") for name in NAMES}
    write_text(RUNS / "catalysts.md", "\n".join(lines(stored)).rstrip() + "\n\nEnd\n")


if __name__ == "__main__":
    main()
