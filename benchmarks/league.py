"""Keep what docs/scores.md tells of a study of banks: its tables, and the league.

    .venv/bin/python benchmarks/league.py results

makes docs/runs/scores of the members of config/scores.yaml that are finished: what
scripts/league.py reads of each, and what it says of all; and the table of the page.
"""

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from headwater.config import read_config_file  # noqa: E402
from headwater.config.study import members  # noqa: E402
from headwater.evaluation.bank import read_bank  # noqa: E402
from headwater.evaluation.fitted import Sums  # noqa: E402
from headwater.evaluation.league import Judged, league_table, page  # noqa: E402
from headwater.publish import write_text  # noqa: E402
from headwater.tables import read_table, write_table  # noqa: E402

RUN = REPOSITORY / "docs/runs/scores"
CONFIG = ("config/config.yaml", "config/scores.yaml")
TABLES = ("lds.tsv", "effects.tsv", "bank/runs.tsv", "bank/sums.tsv")
RESPONSE = "probe"  # what runs of the bank are judged by in docs/scores.md
PAGE = REPOSITORY / "docs/scores.md"
SHOWN = re.compile(r"(?<=<!-- docs/runs/scores -->\n\n).*?\n(?=\n)", re.DOTALL)


def study() -> tuple[str, dict[str, Mapping[str, Any]]]:
    """The target that is judged, and the config of every member."""
    config = read_config_file(*(str(REPOSITORY / name) for name in CONFIG))
    return config["window"]["target"], members(config)


def keep(results: Path) -> None:
    """Copy the tables of every member that has them all."""
    for name, config in study()[1].items():
        own = results / config["experiment"] / "evaluation"
        if all((own / table).is_file() for table in TABLES):
            for table in TABLES:
                (RUN / name / table).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(own / table, RUN / name / table)


def ceilings(results: Path) -> pd.DataFrame:
    """How far any prediction could come, a line for each member and arm of its bank.

    `copy_gain` is Spearman's correlation of two measures of the same runs, the head's
    score and the copy gain; `datamodel` that of the head's score with a ridge on which
    rows a run lacks, fitted on the other runs of the arm.
    """
    found = []
    for name, config in study()[1].items():
        bank = read_bank(results / config["experiment"] / "evaluation/bank")
        for arm, runs in bank.runs.groupby("arm", sort=False):
            lacks = bank.lacks[runs.index.to_numpy()].toarray()
            changed = runs[RESPONSE].to_numpy()
            ranks = spearmanr(changed, runs["copy_gain"])[0]
            own = spearmanr(changed, _datamodel(lacks - lacks.mean(0), changed))[0]
            found.append((name, arm, len(runs), round(ranks, 2), round(own, 2)))
    return pd.DataFrame(found, columns=["member", "arm", "n", "copy_gain", "datamodel"])


def _datamodel(lacks: np.ndarray, changed: np.ndarray) -> np.ndarray:
    products = lacks @ lacks.T
    penalty = 0.1 * np.trace(products) / len(changed)
    predicted = []
    for run in range(len(changed)):
        others = np.arange(len(changed)) != run
        fitted = products[np.ix_(others, others)] + penalty * np.eye(others.sum())
        rest = changed[others] - changed[others].mean()
        predicted.append(products[run, others] @ np.linalg.solve(fitted, rest))
    return np.array(predicted)


def league() -> tuple[pd.DataFrame, str]:
    """The league of the members that are kept: its table, and what is printed."""
    target, configs = study()
    kept = {name: RUN / name for name in configs if (RUN / name).is_dir()}
    judged = {}
    for name, folder in kept.items():
        lds, effects, runs, sums = (read_table(folder / table) for table in TABLES)
        judged[name] = Judged(configs[name]["arms"], lds, effects, Sums(runs, sums))
    table = league_table(judged, target)
    return table, "\n".join(page(table, RESPONSE)) + "\n"


def shown(text: str) -> str:
    """The page with the league's table as it is in what is printed."""
    rows = text.partition("\n\n")[0] + "\n"
    return SHOWN.sub(lambda _: rows, PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
    found, text = league()
    write_table(RUN / "league.tsv", found)
    write_table(RUN / "ceilings.tsv", ceilings(Path(sys.argv[1])))
    write_text(RUN / "league.md", text)
    write_text(PAGE, shown(text))
