"""Checks of targets, and of the units that are stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headwater import members
from headwater.config.registry import Config, check, entry_check, names, problem
from headwater.models.sections import asked, geometry_of, unit_of, units_meant
from headwater.problems import Key, Problem
from headwater.suggestions import unknown_name
from headwater.units import EVERY_HEAD, HEAD, Subject
from headwater.units import problem as unit_problem

# By file names: the package itself needs torch, which no config check may import.
_PROBES = Path(__file__).parent.parent / "probes" / "__init__.py"
PROBES = members.names(str(_PROBES), without=("registry",))
# What they look at, where it is no head; and which are asked on rows of a file.
SUBJECTS: dict[str, Subject] = {
    "activation": "neuron",
    "dataset": "model",
    "direct_logits": "unit",
    "induction": "model",
}
WITH_ROWS = ("activation", "dataset", "direct_logits")
MOST_UNITS = 10_000


@check("window.target")
def _window_target_exists(config: Config) -> Iterator[Problem]:
    yield from target_problem(config, ("window",), config["window"])


@entry_check("targets")
def _probe_exists(_: Config, key: Key, target: dict[str, Any]) -> Iterator[Problem]:
    if target["probe"] not in PROBES:
        text = unknown_name("probe", target["probe"], PROBES)
        yield Problem((*key, "probe"), text)


@entry_check("targets", "window.target")
def _rows_go_with_probe(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    if target["probe"] not in WITH_ROWS:
        if "data" in target:
            those = ", ".join(WITH_ROWS)
            text = f"only the probes {those} have data; remove it, or set one of them"
            yield Problem((*key, "data"), text)
        return
    probe = f"the probe {target['probe']}"
    if "data" not in target:
        yield Problem((*key, "data"), f"missing; {probe} needs a file of rows")
    if asked(target) == "auto":
        text = f"auto has no score to choose by for {probe}; name a head or a unit"
        yield Problem((*key, "head"), text)
    if config["window"]["target"] == key[-1]:
        text = f"{key[-1]}: {probe} has no curve to find a window in"
        yield problem("window.target", text)


@check("gradients.units", "gradients.mode", "model")
def _stored_units_in_model(config: Config) -> Iterator[Problem]:
    patterns = config["gradients"]["units"]
    for pattern in patterns if isinstance(patterns, list) else []:
        yield from _unit_problem(config, ("gradients", "units"), pattern)
    if isinstance(patterns, list) and len(units_meant(patterns, config)) > MOST_UNITS:
        yield problem("gradients.units", f"more than {MOST_UNITS:,} units; name fewer")


@entry_check("targets", "gradients.units", "model", "influence.method")
def _target_is_stored(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    stored, label = config["gradients"]["units"], asked(target)
    if config["influence"]["method"] == "exact" or not isinstance(stored, list):
        return
    if _both(target):
        return
    if label == "auto":
        every = set(units_meant([EVERY_HEAD], config))
        if not every <= set(units_meant(stored, config)):
            text = "auto is known only later; name a head, or set gradients.units: "
            yield Problem((*key, "head"), f"{text}targets or [{EVERY_HEAD}]")
    elif label not in units_meant(stored, config):
        text = f"{label} is not in gradients.units ({', '.join(stored)})"
        yield Problem((*key, _key_of(target)), text)


@check("gradients.coordinates", "gradients.units")
def _few_coordinates_need_probes(config: Config) -> Iterator[Problem]:
    settings = config["gradients"]
    if settings["coordinates"] != "all" and settings["units"] != "targets":
        text = (
            f"{settings['coordinates']} are chosen by the targets' probes, so only "
            "gradients.units: targets can be stored; write all"
        )
        yield problem("gradients.coordinates", text)


@entry_check("targets", "gradients.mode", "model", "window.target")
def _unit_in_model(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    label, place = asked(target), (*key, _key_of(target))
    if _both(target):
        text = f"there is head: {target['head']}, too; name one of them"
        yield Problem((*key, "unit"), text)
        return
    wrong = list(_unit_problem(config, place, label))
    yield from wrong
    if label == "auto" or wrong:
        return
    unit = unit_of(label, config)
    if lack := unit.lacks(SUBJECTS.get(target["probe"], HEAD)):
        yield Problem(place, f"{label}: the probe {target['probe']} {lack}")
    followed = unit.heads or target["probe"] in WITH_ROWS  # said elsewhere
    if config["window"]["target"] == key[-1] and not followed:
        text = f"{key[-1]}: {unit.word} {label} has no head whose curve sets a window"
        yield problem("window.target", text)


def _both(target: dict[str, Any]) -> bool:
    return "unit" in target and target["head"] != "auto"


def _key_of(target: dict[str, Any]) -> str:
    return "unit" if "unit" in target else "head"


def _unit_problem(config: Config, key: Key, label: str) -> Iterator[Problem]:
    if label == "auto":
        return
    sizes, mode = geometry_of(config["model"]), config["gradients"]["mode"]
    if wrong := unit_problem(label, sizes, mode):
        yield Problem(key, wrong)


# Beside the targets' own files in results/<experiment>/influence/.
TAKEN = {
    "fidelity": "fidelity.tsv",
    "ihvp": "the folder ihvp",
    "variants": "variants.tsv",
}


@entry_check("targets")
def _target_name_free(_: Config, key: Key, __: dict[str, Any]) -> Iterator[Problem]:
    if key[-1] in TAKEN:
        text = f"its files would be those of another table ({TAKEN[key[-1]]})"
        yield Problem(key, f"the name is reserved: {text}; choose another")


def target_problem(
    config: Config, key: Key, section: dict[str, Any]
) -> Iterator[Problem]:
    """What is wrong with the target that a section names."""
    targets = names(config, "targets")
    if targets and section["target"] not in targets:
        text = unknown_name("target", section["target"], targets)
        yield Problem((*key, "target"), text)
