"""The members of a study: one ordinary experiment each, told apart by its config."""

from collections.abc import Iterator

from headwater.config.reading import merged
from headwater.config.registry import Config, check, problem
from headwater.corpus.sources import gives_rows
from headwater.problems import Problem

LONGEST_NAME = 100  # of an experiment, as in the schema


def members(config: Config) -> dict[str, Config]:
    """The whole config of every member by its name; empty without a study.

    A member that is the config itself keeps the experiment's name, and so its results.

    Args:
        config: one that has been checked.
    """
    base = {key: value for key, value in config.items() if key != "study"}
    base["arms"] = {
        name: {key: value for key, value in arm.items() if key != "sha256"}
        for name, arm in base["arms"].items()
    }  # which a config does not say
    own_order = base["corpus"].get("order", base["seed"])
    found = {}
    for name, change in _changes(config["study"]):
        member = merged([base, change])
        if member["corpus"].get("order") == own_order:
            member["corpus"] = base["corpus"]
        if member != base:
            member["experiment"] = f"{base['experiment']}-{name}"
        found[name] = member
    return found


def _changes(study: Config) -> Iterator[tuple[str, Config]]:
    for seed in study.get("seeds", ()):
        yield f"seed{seed}", {"seed": seed}
    for order in study.get("orders", ()):
        yield f"order{order}", {"corpus": {"order": order}}
    yield from study.get("models", {}).items()


def what_varies(study: Config) -> str:
    """The members of a study in a word: seeds, orders or models."""
    return str(next(iter(study)))


@check("study", "checkpoints", "corpus")
def _members_differ(config: Config) -> Iterator[Problem]:
    study, checkpoints = config["study"], config["checkpoints"]
    if study and "revisions" in checkpoints:
        text = "published revisions have no arms to compare; remove this section"
        yield problem("study", text)
    if "orders" in study and gives_rows(config["corpus"]):
        text = "a source of token ids has one order; vary seeds or models"
        yield problem("study.orders", text)
    if "seeds" in study and gives_rows(config["corpus"]) and "start" in checkpoints:
        text = "neither the rows nor a published start depends on the seed; vary models"
        yield problem("study.seeds", text)


@check("study", "experiment")
def _members_have_names(config: Config) -> Iterator[Problem]:
    names = [name for name, _ in _changes(config["study"])]
    longest = max(map(len, names), default=0) + len(config["experiment"]) + 1
    if names and longest > LONGEST_NAME:
        text = (
            f"the longest name of a member has {longest} characters, at most "
            f"{LONGEST_NAME} can be; shorten this name"
        )
        yield problem("experiment", text)
