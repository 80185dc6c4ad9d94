"""The examination as it is shipped: a whole training, some minutes on two cores."""

from pathlib import Path

import pandas as pd
import pytest

from clone import make_clone, run

pytestmark = [pytest.mark.workflow, pytest.mark.long]


def test_the_score_is_fooled_by_neither_decoy(tmp_path: Path) -> None:
    """The one for the attention; that for the model's output can be, by noise."""
    clone = make_clone(tmp_path)
    done = run(clone, "examination", config="config/examination.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    path = clone / "results/examination/influence/attention.examination.tsv"
    table = pd.read_csv(path, sep="\t").set_index("ranking")
    mda = table.loc["mda"]
    assert mda["auc_all"] > 0.7
    assert mda["auc_repeats"] > 0.55
    assert mda["auc_noise"] > 0.6
    assert mda["precision_10"] > 0.5
    # Each decoy fools the rankings that it is for, and none of them is as precise.
    for name in ("loss", "rarity", "lexical"):
        assert table["auc_noise"][name] < 0.1
    for name in ("gzip", "repetition"):
        assert table["auc_repeats"][name] < 0.5
    others = ["loss", "rarity", "lexical", "gzip", "repetition"]
    assert (table["precision_10"][others] < mda["precision_10"] - 0.1).all()
    assert table["auc_all"].idxmax() == "gradient_norm", "docs/evidence.md says so"
