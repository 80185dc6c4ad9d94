"""The scores of a bank side by side, as docs/runs/bank/summary.md has them.

.venv/bin/python benchmarks/lds.py results/bank/evaluation/lds.tsv
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ARM, HALVES, AGAIN = "small", "half", "small_again"
RESPONSES = ("probe", "mean_score", "copy_gain", "natural_copy_gain")
CEILING = "measured again"


def lines(table: pd.DataFrame) -> Iterator[str]:
    """A line a score, by how well it predicts the probe in runs without few rows."""
    cells = table.set_index(["arm", "score", "response"])
    few = table[(table["arm"] == ARM) & (table["response"] == RESPONSES[0])]
    names = few.sort_values("lds", ascending=False, kind="stable")["score"]
    runs = {arm: table.loc[table["arm"] == arm, "n"].max() for arm in (ARM, HALVES)}
    heads = [*RESPONSES, f"{HALVES}: probe"]
    yield f"{'':18s}" + "".join(f"{head:>23s}" for head in heads)
    for name in names:
        asked = [(ARM, response) for response in RESPONSES] + [(HALVES, RESPONSES[0])]
        found = [cells.loc[(arm, name, response)] for arm, response in asked]
        yield f"{name:18s}" + "".join(f"{_cell(line):>23s}" for line in found)
    found = [cells.loc[(AGAIN, CEILING, response)] for response in RESPONSES]
    yield f"{CEILING:18s}" + "".join(f"{_cell(line):>23s}" for line in found)
    slope = cells.loc[(ARM, "mda", RESPONSES[0])]
    yield (
        f"Spearman of predicted and measured change, 95 % interval; {runs[ARM]} runs "
        f"without 5 % of the rows,\n{runs[HALVES]} without half. Slope of the probe's "
        f"change on the predicted one, mda: {slope['slope']:.3g} "
        f"[{slope['slope_low']:.3g}, {slope['slope_high']:.3g}]."
    )


def _cell(line: pd.Series) -> str:
    return f"{line['lds']:+.2f} [{line['low']:+.2f}, {line['high']:+.2f}]"


if __name__ == "__main__":
    found = pd.read_csv(Path(sys.argv[1]), sep="\t")
    print("\n".join(lines(found)))
