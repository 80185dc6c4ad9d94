"""Head scores as a table: step, head, one column a score."""

import pandas as pd

from headwater.geometry import Head
from headwater.heads.scores import SCORES


def scores_table(step: int, scores: dict[str, dict[Head, float]]) -> pd.DataFrame:
    """One line a head at one step."""
    heads = sorted(scores[SCORES[0]])
    columns = {name: [scores[name][head] for head in heads] for name in SCORES}
    return pd.DataFrame({"step": step, "head": [str(h) for h in heads], **columns})
