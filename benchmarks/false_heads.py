"""How often the rule for a head calls one in models that have learned nothing.

    PYTHONPATH=scripts .venv/bin/python benchmarks/false_heads.py [CONFIG] [MODELS]

New models of a config's shape, of both ways to draw weights, and with queries and keys
four times as large: attention that is as peaked as in a trained model, at random keys.
"""

import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from headwater.config import read_config_file
from headwater.heads.scores import head_scores, scores_table
from headwater.heads.sequences import repeated_sequences
from headwater.heads.targets import CONTROLS, FOUND, TIMES_CONTROL, find_head
from headwater.identity import Config
from headwater.models.sites import geometry, qkv_weight
from headwater.training.run import new_model

SCORES = ("prefix_matching", "previous_token", "copying")
NULLS = {"normal": ("normal", 1.0), "neox": ("neox", 1.0), "peaked": ("normal", 4.0)}


def tables(config: Config, null: str, models: int) -> Iterator[pd.DataFrame]:
    """The scores of new models, a line a head.

    Args:
        config: whose shape and sequences are taken.
        null: how the weights are drawn, a key of `NULLS`.
    """
    init, times = NULLS[null]
    vocabulary = config["corpus"]["tokenizer"].get("vocab_size", 4096)
    drawn = {**config, "model": {**config["model"], "init": init}}
    if init == "neox":
        drawn["model"].pop("initializer_range", None)
    shape, ids = config["heads"], np.arange(vocabulary)
    for seed in range(models):
        data = repeated_sequences(shape["sequences"], shape, ids, seed)
        model = new_model(drawn, vocabulary, seed).eval()
        with torch.no_grad():
            for layer in range(geometry(model).layers):
                q, k, _ = geometry(model).split_qkv(qkv_weight(model, layer))
                q.mul_(times)
                k.mul_(times)
        yield scores_table(0, head_scores(model, data))


def gates(table: pd.DataFrame, score: str) -> Mapping[str, bool]:
    """Whether any head of a model passes the rule, and each part of it alone.

    A score without controls has the rule only, which is then its least value.
    """
    found = {"the rule": find_head(table, score).found}
    if names := list(CONTROLS.get(score, ())):
        value, most = table[score], table[names].max(axis=1)
        passes = {
            f"at least {FOUND}": value >= FOUND,
            f"{TIMES_CONTROL:g} times its controls": value >= TIMES_CONTROL * most,
            "above its controls": value > most,
        }
        found |= {gate: bool(heads.any()) for gate, heads in passes.items()}
    return found


def rates(config: Config, null: str, models: int) -> pd.DataFrame:
    """False heads of new models by score and gate, with exact 95 % intervals.

    Columns: score, gate, models, calls, rate, low, high, and `highest`, the highest
    score of all heads of all models.
    """
    lines, highest = [], dict.fromkeys(SCORES, -1.0)
    for table in tables(config, null, models):
        for score in SCORES:
            highest[score] = max(highest[score], float(table[score].max()))
            lines += [(score, gate, call) for gate, call in gates(table, score).items()]
    calls = pd.DataFrame(lines, columns=["score", "gate", "call"])
    found = calls.groupby(["score", "gate"], sort=False)["call"].agg(["size", "sum"])
    found = found.reset_index().set_axis(["score", "gate", "models", "calls"], axis=1)
    limits = [
        binomtest(int(line.calls), int(line.models)).proportion_ci(method="exact")
        for line in found.itertuples()
    ]
    return found.assign(
        rate=found["calls"] / found["models"],
        low=[limit.low for limit in limits],
        high=[limit.high for limit in limits],
        highest=[highest[score] for score in found["score"]],
    )


def main() -> None:
    """Print the table of all nulls."""
    torch.set_num_threads(1)
    path = sys.argv[1] if len(sys.argv) > 1 else "config/planted.yaml"
    models = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    config = read_config_file(path)
    print("| weights | score | gate | calls | rate | 95 % | highest score |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for null in NULLS:
        for line in rates(config, null, models).itertuples():
            print(
                f"| {null} | `{line.score}` | {line.gate} | {line.calls} of "
                f"{line.models} | {line.rate:.3f} | {line.low:.3f} to {line.high:.3f} "
                f"| {line.highest:.3f} |"
            )


if __name__ == "__main__":
    main()
