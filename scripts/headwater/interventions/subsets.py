"""Arms that make a bank: runs without random subsets of the rows (kind `subset`).

They are there to judge scores by, and no claim is made about them.
"""

from collections.abc import Mapping
from typing import Any

from headwater.identity import Config
from headwater.interventions.facts import fact_files
from headwater.interventions.kinds import KINDS, alike_of
from headwater.interventions.runs import arm_runs
from headwater.interventions.scores import through_scores

Arms = Mapping[str, Mapping[str, Any]]


def in_bank(arm: Mapping[str, Any]) -> bool:
    """Whether an arm's runs are for the bank."""
    return KINDS[arm["rows"]].role == "bank"


def claimed(arms: Arms) -> dict[str, Mapping[str, Any]]:
    """The arms that figures and summaries are about."""
    return {name: arm for name, arm in arms.items() if not in_bank(arm)}


def judged_targets(config: Config) -> list[str]:
    """The window's target, and the others that judged arms' rows are ranked for."""
    own = config["window"]["target"]
    named = [
        arm.get("target", own)
        for arm in config["arms"].values()
        if KINDS[arm["rows"]].role == "judged"
    ]
    return [*dict.fromkeys([own, *named])]


def bank_runs(config: Config) -> list[tuple[str, int]]:
    """Every run of the bank as (arm, draw from 0)."""
    return [run for run in arm_runs(config) if in_bank(config["arms"][run[0]])]


def drawn_by(name: str, arm: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the seed of an arm's draws is made of, besides their number.

    It is the name, but for the bank: its arms that differ in the order of the rows only
    lack the same ones.
    """
    if not in_bank(arm):
        return (name,)
    return arm["rows"], arm["fraction"], *alike_of(arm)


def stored_whole(config: Config) -> bool:
    """Whether the gradient stores answer any question to a head."""
    whole = config["gradients"]["coordinates"] == "all"
    return bool(whole and config["influence"]["method"] != "exact")


def ranking_files(config: Config, target: str) -> list[str]:
    """Files, under results/<experiment>/, with all facts that rows can be ranked by."""
    names = ["repetition", "lexical", *["gradient_dot"] * stored_whole(config)]
    return fact_files(names + through_scores(config, target), target)


def judged_files(config: Config) -> list[str]:
    """Files, under results/<experiment>/, of what a bank judges beside the scores."""
    target = config["window"]["target"]
    variants = [f"influence/{target}.variants.h5"] * stored_whole(config)
    return ranking_files(config, target) + variants
