"""Section `specificity`: what arms do to every head, and to the loss by domain."""

from typing import Any

import pandas as pd

from headwater.evaluation.specificity import FINAL
from headwater.interventions.kinds import KINDS
from headwater.report.page.census import heads_of
from headwater.report.page.inputs import Inputs, Tests
from headwater.report.page.values import each, rounded


def specificity(run: Inputs, tests: Tests) -> dict[str, Any]:
    """Mean change by arm at the window's end, and the range of random arms' runs."""
    heads = _changes(tests, FINAL, ("head",))
    losses = _changes(tests, "loss", ("domain",))
    known, arms = heads_of(run), list(tests.arms)
    domains = list(dict.fromkeys(losses["name"]))
    chance = [a for a, arm in tests.arms.items() if KINDS[arm["rows"]].role == "chance"]
    return {
        "score": run.main.score,
        "heads": known,
        "arms": arms,
        "change": [each(_mean(heads, arm, known)) for arm in arms],
        "random": [_range(heads, chance, head) for head in known],
        "random_runs": int(heads.loc[heads["arm"].isin(chance), "run"].nunique()),
        "domains": domains,
        "loss_change": [each(_mean(losses, arm, domains)) for arm in arms],
        "loss_random": [_range(losses, chance, domain) for domain in domains],
    }


def _changes(tests: Tests, what: str, kinds: tuple[str, ...]) -> pd.DataFrame:
    table = tests.specificity
    return table[(table["what"] == what) & table["kind"].isin(kinds)]


def _mean(table: pd.DataFrame, arm: str, names: list[str]) -> pd.Series:
    own = table[table["arm"] == arm].groupby("name")["change"]
    return own.mean().reindex(names)


def _range(table: pd.DataFrame, chance: list[str], name: str) -> list[Any] | None:
    found = table[table["arm"].isin(chance) & (table["name"] == name)]["change"]
    if found.empty:
        return None
    return [rounded(found.min()), rounded(found.max())]
