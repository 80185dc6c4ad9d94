"""The tables of the other stages, read back for the report.

Names that these tables use: `baseline` is the run without intervention, `natural` the
held-out rows of real text, `<arm>-seed<draw>` a run of an arm.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.errors import HeadwaterError

Arms = Mapping[str, Mapping[str, Any]]


def read_table(path: Path) -> pd.DataFrame:
    """A tab-separated table; only an empty field is a missing value.

    Raises:
        HeadwaterError: no table can be read from the file.
    """
    try:
        # A domain may be called "nan" or "NA": these are names here.
        return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise HeadwaterError(
            f"{path}: not a readable table ({error}); delete it and run again"
        ) from error


def read_tables(paths: Iterable[Path], suffix: str = ".tsv") -> dict[str, pd.DataFrame]:
    """Tables by file name without `suffix`, in the order of the paths."""
    return {path.name.removesuffix(suffix): read_table(path) for path in paths}


def series(table: pd.DataFrame, metric: str, name: str) -> pd.Series:
    """One metric's values by step, ascending; `name` is that of the head or domain.

    Args:
        table: a run's, long: columns step, metric, name, value.
    """
    picked = table[(table["metric"] == metric) & (table["name"] == name)]
    return picked.set_index("step")["value"].astype(float).sort_index()


def main_domain(domains: pd.DataFrame) -> str:
    """The domain that more of a target's top 10 % of rows belong to than to others."""
    return str(domains.loc[domains["share_top"].idxmax(), "domain"])


def titled(
    summary: pd.DataFrame,
    effects: pd.DataFrame,
    domains: Mapping[str, pd.DataFrame],
    fidelity: pd.DataFrame,
) -> dict[str, tuple[str, pd.DataFrame]]:
    """The report's tables: title to an explanation and the table itself."""
    ratio = (
        "area_ratio: area under the head-score curve over the window, above its value "
        "at the start, divided by the baseline's (1 = no effect, 0 = no rise). onset: "
        "step at which the score reaches half of the baseline's highest; a dash means "
        "never. probe_change: mean of the probe over the window, minus the baseline's; "
        "the probe is what the scores predict. Scores at the window's end; lower icl = "
        "more in-context learning."
    )
    share = (
        "share: of the window's rows. share_top: of its 10 % with the highest scores. "
        "enrichment: one divided by the other. A positive score helps the head."
    )
    return {
        "Effects, arm by arm": (f"Mean, lowest and highest draw. {ratio}", summary),
        "Effects, run by run": (ratio, effects),
        **{f"Domains: {name}": (share, table) for name, table in domains.items()},
        "Fidelity of the scores": (
            "Stored scores against exact ones of the same factors on sampled rows: "
            "Spearman correlation; and of the 10 % and 1 % with the highest exact "
            "scores, overlap: share that the stored scores rank as high. ratio: mean "
            "of stored to exact score. sign: share with the same. It says nothing "
            "about how good EK-FAC is.",
            fidelity,
        ),
    }
