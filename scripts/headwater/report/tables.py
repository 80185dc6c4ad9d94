"""The tables of the other stages, read back for the report.

Names that these tables use: `baseline` is the run without intervention, the group
`natural` the held-out rows of real text, `<arm>-seed<draw>` a run of an arm.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.checkpoints.published import published
from headwater.evaluation.specificity import FINAL, matrix
from headwater.tables import read_table

Arms = Mapping[str, Mapping[str, Any]]


def read_tables(paths: Iterable[Path], suffix: str = ".tsv") -> dict[str, pd.DataFrame]:
    """Tables by file name without `suffix`, in the order of the paths."""
    return {path.name.removesuffix(suffix): read_table(path) for path in paths}


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
        "whether and at which step the score makes half of the baseline's rise, from "
        "the window's start to its highest; a run that never does, or is there from "
        "the start, has no step and no shift, and a mean with such a run is none. "
        "onset_at_least: what the shift is at least, the window's end being the least "
        "for a run that never gets there. overlap: share of a control's rows that are "
        "top rows themselves. probe_change: mean of the probe over the window, minus "
        "the baseline's; the probe is what the scores predict. Scores at the window's "
        "end; lower icl = more in-context learning, a dash = not measured."
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


def judged_tables(
    verdicts: pd.DataFrame, specificity: pd.DataFrame
) -> dict[str, tuple[str, pd.DataFrame]]:
    """Verdicts, and what arms do besides, titled."""
    change = "Arm minus baseline at the window's end, mean over an arm's runs; the "
    change += "range of random draws is what chance does."
    return {
        "Verdicts": (
            "effect: mean of arm minus control over so many members (n), area as a "
            "share of the baseline's. low, high: 95 % interval. p: one-sided, in the "
            "predicted direction; p_exact: by flips of signs; p_corrected: for the "
            "number of claims (Holm). directional_effectiveness: against the baseline; "
            "selection_advantage: against the control.",
            verdicts,
        ),
        "Score of every head": (change, matrix(specificity, FINAL, ("head",))),
        "Loss by domain": (
            f"{change} Nats.",
            matrix(specificity, "loss", ("group", "domain")),
        ),
    }


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
