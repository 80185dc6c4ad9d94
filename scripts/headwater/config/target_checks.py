"""Checks of targets, and of the heads that are stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headwater import members
from headwater.config.registry import Config, check, entry_check, names, problem
from headwater.geometry import Head
from headwater.problems import Key, Problem
from headwater.suggestions import unknown_name

# By file names: the package itself needs torch, which no config check may import.
_PROBES = Path(__file__).parent.parent / "probes" / "__init__.py"
PROBES = members.names(str(_PROBES), without=("registry",))


@check("window.target")
def _window_target_exists(config: Config) -> Iterator[Problem]:
    yield from target_problem(config, ("window",), config["window"])


@entry_check("targets")
def _probe_exists(_: Config, key: Key, target: dict[str, Any]) -> Iterator[Problem]:
    if target["probe"] not in PROBES:
        text = unknown_name("probe", target["probe"], PROBES)
        yield Problem((*key, "probe"), text)


@entry_check("targets", "window.target")
def _dataset_is_complete(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    if target["probe"] != "dataset":
        if "data" in target:
            text = "only the probe dataset has data; remove it, or set probe: dataset"
            yield Problem((*key, "data"), text)
        return
    if "data" not in target:
        yield Problem((*key, "data"), "missing; the probe dataset needs a file of rows")
    if target["head"] == "auto":
        text = "auto has no score to choose by for the probe dataset; name a head"
        yield Problem((*key, "head"), text)
    if config["window"]["target"] == key[-1]:
        text = f"{key[-1]}: the probe dataset has no curve to find a window in"
        yield problem("window.target", text)


@check("gradients.heads", "model.num_hidden_layers", "model.num_attention_heads")
def _stored_heads_in_model(config: Config) -> Iterator[Problem]:
    labels = config["gradients"]["heads"]
    for label in labels if isinstance(labels, list) else []:
        yield from _head_problem(config, ("gradients", "heads"), label)


@entry_check("targets", "gradients.heads", "influence.method")
def _target_is_stored(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    stored = config["gradients"]["heads"]
    if config["influence"]["method"] == "exact" or not isinstance(stored, list):
        return
    if target["head"] == "auto":
        text = "auto is known only later; name a head, or set gradients.heads: targets"
        yield Problem((*key, "head"), text)
    elif target["head"] not in stored:
        text = f"{target['head']} is not in gradients.heads ({', '.join(stored)})"
        yield Problem((*key, "head"), text)


@check("gradients.coordinates", "gradients.heads")
def _few_coordinates_need_probes(config: Config) -> Iterator[Problem]:
    settings = config["gradients"]
    if settings["coordinates"] != "all" and settings["heads"] != "targets":
        text = (
            f"{settings['coordinates']} are chosen by the targets' probes, so only "
            "gradients.heads: targets can be stored; write all"
        )
        yield problem("gradients.coordinates", text)


@entry_check("targets", "model.num_hidden_layers", "model.num_attention_heads")
def _head_in_model(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    yield from _head_problem(config, (*key, "head"), target["head"])


def _head_problem(config: Config, key: Key, label: str) -> Iterator[Problem]:
    if label == "auto":
        return
    head = Head.parse(label)
    layers = config["model"]["num_hidden_layers"]
    heads = config["model"]["num_attention_heads"]
    if head.layer >= layers:
        text = f"{label}: the model has layers 0..{layers - 1}"
        yield Problem(key, text)
    elif head.index >= heads:
        text = f"{label}: the model has heads 0..{heads - 1} in each layer"
        yield Problem(key, text)


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
