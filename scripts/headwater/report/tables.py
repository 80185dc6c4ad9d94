"""The tables of the other stages, read back for the report.

Names that these tables use: `baseline` is the run without intervention, the group
`natural` the held-out rows of real text, `<arm>-seed<draw>` a run of an arm.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.checkpoints.published import published
from headwater.tables import read_table

Arms = Mapping[str, Mapping[str, Any]]


def read_tables(paths: Iterable[Path], suffix: str = ".tsv") -> dict[str, pd.DataFrame]:
    """Tables by file name without `suffix`, in the order of the paths."""
    return {path.name.removesuffix(suffix): read_table(path) for path in paths}


def main_domain(domains: pd.DataFrame) -> str:
    """The domain that more of a target's top 10 % of rows belong to than to others."""
    return str(domains.loc[domains["share_top"].idxmax(), "domain"])


def published_table(checkpoints: Iterable[Path]) -> dict[str, tuple[str, pd.DataFrame]]:
    """The published revisions among checkpoints, titled; nothing if there are none."""
    found = published(checkpoints)
    if not found:
        return {}
    lines = [(one.revision, one.weights, one.commit, one.origin) for one in found]
    table = pd.DataFrame(lines, columns=["revision", "weights", "commit", "origin"])
    explanation = (
        "What was published elsewhere and taken. weights: SHA-256 of the file, or over "
        "the hashes of several; equal ones are the same model."
    )
    return {"Published checkpoints": (explanation, table)}
