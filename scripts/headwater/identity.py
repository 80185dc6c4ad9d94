"""Which parts of the config each stage's results depend on, and the check of it.

Every stored result carries its *identity*: the stage, a format version, and the config
sections it was made under. A job that reads a result compares these with its own
config, so that a store from another config is refused, both sides named, never reused.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError, again

# The config of one experiment: whole, checked, and completed by the defaults. Stored
# results are checked against it.
Config = Mapping[str, Any]

_CORPUS = ("seed", "corpus")
_CHECKPOINTS = (*_CORPUS, "checkpoints", "model", "training")
_HEADS = (*_CHECKPOINTS, "heads")
_WINDOW = (*_HEADS, "window")
_CURVATURE = (*_WINDOW, "curvature")
_PROBE = (*_WINDOW, "gradients")
_GRADIENTS = (*_CURVATURE, "gradients")
_INFLUENCE = (*_GRADIENTS, "influence")
_METAGRADIENT = (*_PROBE, "retraining", "metagradient")
_DRAWN = (*_METAGRADIENT, "metagradient.draws")
# By the score. Segments end where they end, whatever is the mean's or the end's F.
_THROUGH = {
    "metagradient": _METAGRADIENT,
    "metagradient_segments": (*_PROBE, "retraining", "metagradient.segment"),
    "metagradient_subsets": _DRAWN,
    "metagradient_path": _DRAWN,
    "metagradient_orders": _DRAWN,
}

SECTIONS: dict[str, tuple[str, ...]] = {
    "corpus": _CORPUS,
    "checkpoints": _CHECKPOINTS,
    "heads": _HEADS,
    "window": _WINDOW,
    "curvature": _CURVATURE,
    "probe": _PROBE,  # gradients of probes, which need no curvature
    "gradients": _GRADIENTS,
    "influence": _INFLUENCE,
    "ranking": _INFLUENCE,
    **_THROUGH,
}

# A published checkpoint is what it is, whatever is trained on from it.
_BESIDE: dict[str, tuple[str, ...]] = {"source": ("checkpoints",)}

# How an arm's rows were picked depends on all that made the scores; in a random arm on
# the window alone. What is trained depends on the window, and on the rows by content
# (`seals`), not by their history: the same rows of other scores are the same arm.
_PICKED = {True: _INFLUENCE, False: _WINDOW}
_TRAINED: dict[str, tuple[str, ...]] = {
    "interventions": (),
    "retraining": ("retraining",),
    "evaluation": ("retraining", "evaluation"),
}

# Of these a result knows its own entries only, so that a new target or arm leaves the
# results of the others as they are.
_BY_NAME = ("targets", "arms")

SPEED = {
    "curvature": ("batch_size",),
    "gradients": ("batch_size",),
    "metagradient": ("space_gb",),
}

# Keys that few results of their section depend on: these name them as `section.key`.
APART = {"metagradient": ("segment", "draws")}

FORMAT = 6


def identity(
    stage: str, config: Config, targets: Iterable[str] = (), **extra: Any
) -> dict[str, Any]:
    """The identity of a result of `stage` made under `config`.

    Args:
        stage: a key of `SECTIONS`, or `source`, a published checkpoint.
        targets: whose entries the result depends on, besides the window's own.
        extra: what else tells this result from its siblings (shard, arm, ...).
    """
    names = {**SECTIONS, **_BESIDE}[stage]
    if stage == "checkpoints" and "stop" in config["training"]:
        # Where the run ends depends on how the window's head is found.
        names, targets = (*names, "heads"), [config["window"]["target"]]
    if stage == "ranking":
        names = (*names, *_THROUGH.get(config["influence"]["method"], ()))
    settings = _settings(names, config, targets)
    return {"stage": stage, "format": FORMAT, "settings": settings, **extra}


def _settings(
    sections: Iterable[str], config: Config, targets: Iterable[str]
) -> dict[str, Any]:
    settings = {section: section_of(config, section) for section in sections}
    names = {*targets, config["window"]["target"]} if "window" in settings else targets
    entries = {name: config["targets"][name] for name in sorted(names)}
    return {**settings, "targets": entries} if entries else settings


def without_speed(section: str, settings: Any) -> Any:
    """A section of the config without the keys that no result depends on.

    So a batch that was too large for a machine can be made smaller, and what is done
    stays. Nor has it the keys that stand `APART`.
    """
    without = (*SPEED.get(section, ()), *APART.get(section, ()))
    if without and isinstance(settings, Mapping):
        return {k: v for k, v in settings.items() if k not in without}
    return settings


def section_of(config: Config, section: str) -> Any:
    """What results depend on in a section of the config, or in one `section.key`."""
    name, _, key = section.partition(".")
    if key:
        return config[name][key]
    # `checkpoints` is the section that most experiments leave out.
    found = config.get(section, {}) if section == "checkpoints" else config[section]
    return without_speed(section, found)


def picked_identity(config: Config, arm: str, draw: int) -> dict[str, Any]:
    """The identity of what is known of how an arm's rows were picked.

    Args:
        arm: a name under `arms`.
        draw: which of the arm's draws.
    """
    entry = config["arms"][arm]
    scored = "target" in entry
    sections = (*_PICKED[scored], *_THROUGH.get(entry.get("score"), ()))
    settings = {
        **_settings(sections, config, [entry["target"]] if scored else []),
        "arms": {arm: without_draws(entry)},
    }
    return _of_arm("match", settings, arm, draw)


def arm_identity(stage: str, config: Config, arm: str, draw: int) -> dict[str, Any]:
    """The identity of what depends on an arm's rows alone, however they were picked.

    Args:
        stage: `interventions`, `retraining` or `evaluation`.
        arm: a name under `arms`.
        draw: which of the arm's draws.
    """
    # An evaluation measures the heads of all targets.
    targets = list(config["targets"]) if stage == "evaluation" else []
    settings = _settings((*_WINDOW, *_TRAINED[stage]), config, targets)
    return _of_arm(stage, settings, arm, draw)


def _of_arm(
    stage: str, settings: dict[str, Any], arm: str, draw: int
) -> dict[str, Any]:
    about = {"stage": stage, "format": FORMAT, "settings": settings}
    return {**about, "arm": arm, "draw": draw}


def without_draws(arm: Any) -> Any:
    """An arm's settings without their number of draws, on which no draw depends."""
    if isinstance(arm, Mapping):
        return {key: value for key, value in arm.items() if key != "draws"}
    return arm


def check_identity(found: Mapping[str, Any], config: Config, path: Path) -> None:
    """Refuse a stored result that was made under another config.

    Raises:
        HeadwaterError: names the file, the key, the stored value and the config's.
    """
    if found.get("format") != FORMAT:
        raise HeadwaterError(
            f"{path}: format version {found.get('format')}, this Headwater reads "
            f"{FORMAT}; {again(path)}"
        )
    for section, stored in found["settings"].items():
        wanted = _wanted(config, section)
        if section in _BY_NAME:
            wanted = {name: without_draws(wanted.get(name)) for name in stored}
            stored = {name: without_draws(entry) for name, entry in stored.items()}
        difference = _first_difference(section, stored, wanted)
        if difference:
            raise HeadwaterError(
                f"{path}: made under another config: {difference}; use another "
                f"`experiment` name, or {again(path)}"
            )


def _wanted(config: Config, section: str) -> Any:
    name, _, key = section.partition(".")
    found = config.get(name, {})
    return found.get(key) if key else without_speed(section, found)


def _first_difference(key: str, stored: Any, wanted: Any) -> str | None:
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        for name in sorted({*stored, *wanted}):
            found = _first_difference(
                f"{key}.{name}", stored.get(name), wanted.get(name)
            )
            if found:
                return found
        return None
    return None if stored == wanted else f"{key} is {stored!r} there, {wanted!r} here"
