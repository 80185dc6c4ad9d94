"""Names of groups of rows that are no domains of the text's own."""

from collections.abc import Mapping
from typing import Any

# Sources of generated rows: what heads learn from, and two decoys.
RECORDS, REPEATS, NOISE = "records", "repeats", "noise"
NATURAL = "natural"  # all rows that were not generated
NO_LABEL = "(no label)"  # of documents without one; refused as a label


def generated(config: Mapping[str, Any]) -> dict[str, float]:
    """The sources of generated rows and their shares of the training rows, above 0."""
    settings = config["corpus"]["records"]
    shares = {
        RECORDS: settings["fraction"],
        REPEATS: settings["repeats"],
        NOISE: settings["noise"],
    }
    return {name: share for name, share in shares.items() if share > 0}


def planted(config: Mapping[str, Any]) -> str | None:
    """The domain of the generated rows; None, and its name free, if there is none.

    Where labels are hidden, generated rows carry the names of natural domains.
    """
    shown = RECORDS in generated(config) and not config["corpus"]["records"]["hidden"]
    return RECORDS if shown else None
