"""Checks of arms: what their kinds of rows need, and what they do not take."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater.config.arms import FILES, NAME_LENGTH, arm_fractions, arm_name
from headwater.config.registry import Config, check, entry_check, names
from headwater.config.target_checks import target_problem
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS, facts_of, score_of, scored
from headwater.interventions.runs import BASELINE
from headwater.interventions.scores import DEFAULT, SCORES, SMOOTHED, THROUGH
from headwater.interventions.slopes import reweights
from headwater.interventions.tokens import masks
from headwater.problems import Key, Problem
from headwater.suggestions import unknown_name
from headwater.unreadable import stand_in

# The arms' keys that not every kind takes: what is said where one is needless, missing.
_OWN = {
    "target": (
        "{kind} rows have no target; remove this key",
        "missing; expected the name of a target",
    ),
    "score": ("{kind} rows are ranked by no score; remove this key", ""),
    "match": ("{kind} rows are not matched; remove this key, or set rows: matched", ""),
    "strata": (
        "{kind} rows have no strata; remove this key, or set rows: strata",
        "missing; expected a list of facts, such as [domain, loss]",
    ),
    "file": (
        "only rows of the kind file have a file; remove this key, or set rows: file",
        "missing; rows of the kind file need a table of rows",
    ),
    "motifs": (
        "only generated rows are written after motifs; remove this key, or set "
        "action: generate and rows: motifs",
        "",
    ),
    "motifs_of": (
        "only generated rows are written after motifs; remove this key, or set "
        "action: generate and rows: motifs",
        "",
    ),
    "order": ("{kind} rows come in the window's order; remove this key", ""),
    "disjoint": ("{kind} rows are compared with no others; remove this key", ""),
}
RESERVED = {BASELINE: "the run without intervention", "bank": "the bank's tables"}
_OF_ACTIONS = {
    "at": "only insert and generate put rows at a step; remove this key",
    "from": "only swap moves rows; remove this key, or set action: swap",
    "to": "only swap moves rows; remove this key, or set action: swap",
}
_FROM_STORE = {*SCORES} - {DEFAULT, *THROUGH}


@entry_check("arms")
def _arm_name_free(_: Config, key: Key, __: dict[str, Any]) -> Iterator[Problem]:
    if key[-1] in RESERVED:
        yield Problem(key, f"the name is reserved for {RESERVED[str(key[-1])]}")


@entry_check("arms")
def _kind_has_what_it_needs(
    config: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    name = arm["rows"]
    if name not in KINDS:
        yield Problem((*key, "rows"), unknown_name("kind of rows", name, KINDS))
        return
    kind = KINDS[name]
    takes = {*kind.keys, *(("target", "score") if scored(arm) else ())}
    needs = {*kind.required, *(("target",) if scored(arm) else ())}
    for own, (needless, missing) in _OWN.items():
        if own in arm and own not in takes:
            yield Problem((*key, own), needless.format(kind=name))
        elif own in needs and own not in arm:
            yield Problem((*key, own), missing)
    if "target" in takes and "target" in arm:
        yield from target_problem(config, key, arm)
    if "motifs" in arm and "motifs_of" in arm:
        text = "names motifs, and so does motifs_of; remove one of the two"
        yield Problem((*key, "motifs"), text)
    if "loss" in arm.get("strata", ()) and "strata" in takes and not kind.scored:
        text = f"{name} rows have no target, at whose checkpoints a loss is measured"
        yield Problem((*key, "strata"), f"{text}; remove loss")
    if arm["draws"] > 1 and not kind.drawn:
        text = f"expected 1, since the {kind.noun} are always the same"
        yield Problem((*key, "draws"), f"{text}, found {arm['draws']}")


@entry_check("arms", "influence.method", "gradients.coordinates")
def _gradients_are_stored(
    config: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    if arm["rows"] not in KINDS or not _FROM_STORE & {*facts_of(arm)}:
        return
    asked = f"{arm['rows']} rows"
    if (score := score_of(arm)) != DEFAULT:
        asked = f"{asked} by {score}"
    for section, name, wanted in (
        ("influence", "method", "projected"),
        ("gradients", "coordinates", "all"),
    ):
        stored = {wanted, *THROUGH}  # which store gradients all the same
        if config[section][name] not in stored:
            text = f"{asked} are found in whole gradient stores"
            text = f"{text}; set {section}.{name}: {wanted}"
            yield Problem((*key, "rows"), text)


@entry_check("arms", "window.checkpoints", "checkpoints")
def _score_is_known(config: Config, key: Key, arm: dict[str, Any]) -> Iterator[Problem]:
    place, name = (*key, "score"), score_of(arm)
    if name not in SCORES:
        yield Problem(place, unknown_name("score", name, SCORES))
    elif SCORES[name].several and config["window"]["checkpoints"] < 2:
        text = f"{name} needs several checkpoints of the window"
        yield Problem(place, f"{text}; set window.checkpoints, such as 6")


@entry_check("arms", "training.precision", "retraining.divisor")
def _arm_can_be_gone_back(
    config: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    yield from _can_be_gone_back(config, (*key, "score"), score_of(arm))


@check("influence.method", "training.precision", "retraining.divisor")
def _training_can_be_gone_back(config: Config) -> Iterator[Problem]:
    method = config["influence"]["method"]
    yield from _can_be_gone_back(config, ("influence", "method"), method)


def _can_be_gone_back(config: Config, key: Key, score: str) -> Iterator[Problem]:
    if score in THROUGH and config["training"]["precision"] == "fp16":
        text = "fp16 leaves out updates that overflow, through which no metagradient"
        yield Problem(key, f"{text} goes; set training.precision: bf16")
    if score == SMOOTHED["path"] and config["retraining"]["divisor"] == "kept":
        text = "a weight of all rows is divided out again by retraining.divisor: kept"
        yield Problem(key, f"{text}; set it to fixed, or take another score")


@entry_check("arms")
def _subsets_are_left_out(
    _: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    kind = KINDS.get(arm["rows"])
    if kind and kind.role == "bank" and arm["action"] != "remove":
        text = f"expected remove, since scores are judged by runs without {kind.noun}"
        yield Problem((*key, "action"), f"{text}, found {arm['action']}")


@entry_check("arms")
def _action_goes_with_the_kind(
    _: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    kind, action = KINDS.get(arm["rows"]), arm["action"]
    if kind and kind.role != "bank" and action not in kind.colours:
        wanted = " or ".join(kind.colours)
        text = f"expected {wanted} for {arm['rows']} rows, found {action}"
        yield Problem((*key, "action"), text)
        return
    if masks(arm):
        for own in {"score", "disjoint"} & {*arm}:
            text = "masked tokens are ranked by what mda is for each; remove this key"
            yield Problem((*key, own), text)
    if reweights(arm) and "disjoint" in arm:
        text = "weights are taken from all rows; remove this key"
        yield Problem((*key, "disjoint"), text)
    takes, needs = ACTIONS[action].keys, ACTIONS[action].required
    for own, needless in _OF_ACTIONS.items():
        if own in arm and own not in takes:
            yield Problem((*key, own), needless)
        elif own in needs and own not in arm:
            text = "missing; expected two shares of the window, such as [0, 0.5]"
            yield Problem((*key, own), text)


@entry_check("arms", "window", "training.batch_size")
def _rows_are_put_into_the_window(
    config: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    start, end = (config["window"][name] for name in ("start", "end"))
    if "at" not in arm or "auto" in (start, end):
        return  # of a window that is to be found, the job that builds the arm says so
    at, steps = arm["at"], end - start
    if not start <= at < end:
        text = f"expected a step of the window, {start} to {end - 1}, found {at}"
        yield Problem((*key, "at"), text)
        return
    for fraction in arm_fractions(arm):
        if fraction * steps > end - at:
            text = (
                f"{fraction} of the window's rows fill {fraction * steps:.1f} steps, "
                f"but from step {at} to the window's end there are {end - at}"
            )
            yield Problem((*key, "fraction"), text)


@entry_check("arms")
def _rows_are_moved_between_parts(
    _: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    parts = {own: arm[own] for own in ("from", "to") if own in arm}
    for own, (low, high) in parts.items():
        if not low < high:
            text = f"expected the smaller share first, found {[low, high]}"
            yield Problem((*key, own), text)
            return
        for fraction in arm_fractions(arm):
            if fraction > high - low:
                text = f"{fraction} of the window's rows do not fit into {own}"
                yield Problem((*key, "fraction"), f"{text}, {high - low:g} of them")
                return
    if len(parts) == 2 and max(a for a, _ in parts.values()) < min(
        b for _, b in parts.values()
    ):
        yield Problem((*key, "to"), "lies partly in from; give parts that do not meet")


@entry_check("arms")
def _rows_have_room(_: Config, key: Key, arm: dict[str, Any]) -> Iterator[Problem]:
    action = ACTIONS[arm["action"]]
    for fraction in arm_fractions(arm):
        if fraction > action.most:
            text = f"{fraction} is more than {action.most}; {action.reason}"
            yield Problem((*key, "fraction"), text)


@check("arms")
def _fractions_get_free_names(config: Config) -> Iterator[Problem]:
    arms = names(config, "arms")
    for name, arm in arms.items():
        if isinstance(arm["fraction"], list):
            for made in (arm_name(name, share) for share in arm["fraction"]):
                key = ("arms", name, "fraction")
                if made in arms:
                    text = f"makes an arm {made}, which stands there; rename one"
                    yield Problem(key, text)
                elif len(made) > NAME_LENGTH:
                    text = f"makes an arm {made}, of more than {NAME_LENGTH} characters"
                    yield Problem(key, f"{text}; shorten the name of the arm")


def arm_file_problems(config: Mapping[str, Any], base: Path) -> list[Problem]:
    """Files of arms that are not there, or are none."""
    return [
        Problem(("arms", name, key), f"{arm[key]}: {wrong}")
        for name, arm in config["arms"].items()
        for key in FILES
        if key in arm and (wrong := stand_in(base / arm[key]))
    ]
