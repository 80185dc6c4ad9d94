"""All that is said of one target's rows, as one table and one JSON file.

The JSON is the report's data; what it holds is told in `docs/catalysts.md`. It has no
`NaN`: what is not known is `null`.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from headwater.catalysts.documents import CONFIDENCE, FEWEST, SAMPLES
from headwater.catalysts.features import FEATURES
from headwater.catalysts.mass import lorenz, over_training
from headwater.catalysts.regression import regression
from headwater.catalysts.rows import BANDS, ScoredRows


def about_rows(
    rows: ScoredRows,
    table: pd.DataFrame,
    steps: Int64[np.ndarray, " rows"],
    **about: Any,
) -> dict[str, Any]:
    """What `catalysts/<target>.json` holds.

    Args:
        table: of `enrichment`.
        steps: the training step of each row.
        about: the target, its unit.
    """
    found = {
        **about,
        "rows": len(rows),
        "documents": rows.documents.count,
        "intervals": {
            "confidence": CONFIDENCE,
            "samples": SAMPLES,
            "fewest_documents": FEWEST,
        },
        "bands": BANDS,
        "features": {
            name: {"words": feature.words, "group": feature.group}
            for name, feature in FEATURES.items()
        },
        "enrichment": table.to_dict("records"),
        "lorenz": lorenz(rows),
        "training": over_training(rows, steps),
        "regression": regression(rows),
    }
    cleaned: dict[str, Any] = without_nan(found)
    return cleaned


def without_nan(value: Any) -> Any:
    """A value of JSON in which what is not finite is None."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
