"""The rule for a head on models that have learned nothing, by the benchmark's code."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from headwater.config import read_config_file
from headwater.heads.targets import CONTROLS

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location(
    "false_heads", ROOT / "benchmarks" / "false_heads.py"
)
false_heads = importlib.util.module_from_spec(spec)
spec.loader.exec_module(false_heads)
RULE = f"{false_heads.TIMES_CONTROL:g} times its controls"


def table(*values: tuple[float, float]) -> pd.DataFrame:
    """Heads of a layer with a prefix-matching score and all controls at a value."""
    heads = [f"L0H{index}" for index in range(len(values))]
    scores, controls = zip(*values, strict=True)
    names = CONTROLS["prefix_matching"]
    columns = {"prefix_matching": scores, **dict.fromkeys(names, controls)}
    return pd.DataFrame({"head": heads, **columns})


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        ([(0.5, 0.1), (0.0, 0.0)], {"the rule", "at least 0.3", RULE, "above"}),
        ([(0.5, 0.2)], {"at least 0.3", "above"}),
        ([(0.5, 0.6), (0.03, 0.01)], {"at least 0.3", RULE, "above"}),
        ([(0.02, 0.03)], set()),
    ],
)
def test_each_gate_lets_through_what_it_asks_for(values, passed):
    found = false_heads.gates(table(*values), "prefix_matching")
    names = {
        gate.removesuffix(" its controls") if gate != RULE else gate
        for gate, call in found.items()
        if call
    }
    assert names == passed


@pytest.mark.parametrize("null", false_heads.NULLS)
def test_new_models_have_no_heads(null):
    config = read_config_file(str(ROOT / "config" / "smoke.yaml"))
    found = false_heads.rates(config, null, 4)
    assert set(found["models"]) == {4}
    rule = found[found["gate"] == "the rule"]
    assert rule["score"].tolist() == list(false_heads.SCORES)
    matching = rule[rule["score"] == "prefix_matching"].iloc[0]
    assert (matching["calls"], matching["low"]) == (0, 0)
    assert matching["high"] == pytest.approx(1 - 0.025 ** (1 / 4))  # exact, of 0 in 4
    assert 0 < matching["highest"] < 0.3
