"""Names of groups of rows that are no domains of the text's own."""

from collections.abc import Mapping
from typing import Any

RECORDS = "records"  # the generated rows, if there are any
NATURAL = "natural"  # all rows that were not generated
NO_LABEL = "(no label)"  # of documents without one; refused as a label


def planted(config: Mapping[str, Any]) -> str | None:
    """The domain of the generated rows; None, and its name free, if there are none."""
    return RECORDS if config["corpus"]["records"]["fraction"] > 0 else None
