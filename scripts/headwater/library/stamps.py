"""What a run was made with, by what its results say of themselves.

Every stored result carries its identity (`identity`): the sections of the config that
it depends on, complete with defaults. Together they are the config, without what no
result depends on; each file is checked against it when it is read, so files of two
configs in one folder are refused as the workflow refuses them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headwater.errors import again
from headwater.identity import check_identity
from headwater.interventions.runs import runs_of
from headwater.library.places import WINDOW, Places
from headwater.strictjson import read_object
from headwater.unreadable import unreadable

Config = dict[str, Any]
_STORES = ("influence/*.zarr", "gradients/*/*.zarr")


def known_config(places: Places) -> Config:
    """The config of a run, as far as it has come.

    Sections have their defaults filled in. What no result says is missing: the batch
    sizes of passes, and the sections `evaluation`, `report` and `study`. Arms have as
    many `draws` as there are.

    Raises:
        HeadwaterError: the window is not chosen yet; or a result cannot be read, or is
            of another version of Headwater.
    """
    places.there(WINDOW)
    folder = places.folder
    config: Config = {"experiment": folder.absolute().name, "targets": {}, "arms": {}}
    for path, stamp in _stamps(places):
        try:
            check_identity({**stamp, "settings": {}}, config, path)
            _add(config, stamp["settings"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unreadable(path, error, again(path)) from error
    for name, arm in config["arms"].items():
        config["arms"][name] = {**arm, "draws": len(_draws(places, name))}
    return config


def _add(config: Config, settings: Config) -> None:
    """Add sections that are not known yet, and targets and arms likewise."""
    for section, found in settings.items():
        if section in ("targets", "arms"):
            for name, entry in found.items():
                config[section].setdefault(name, entry)
        elif "." in section:
            name, key = section.split(".")
            config.setdefault(name, {})[key] = found
        elif isinstance(found, dict):
            config[section] = {**found, **config.get(section, {})}
        else:
            config.setdefault(section, found)


def _draws(places: Places, arm: str) -> list[str]:
    names = places.names("interventions/*.h5")
    rows = (name for name in names if not name.endswith(".match.h5"))
    return runs_of(arm, (Path(name).stem for name in rows))


def _stamps(places: Places) -> Iterator[tuple[Path, Config]]:
    """The identities of results that together depend on all that is known."""
    targets = [places.there(name) for name in places.names("heads/targets/*.json")]
    for path in (places.there(WINDOW), *targets):
        yield path, _object(path, "identity")
    for pattern in _STORES:
        for name in places.names(pattern)[:1]:
            path = places.folder / name
            yield path, _object(path / "zarr.json", "attributes", "headwater")
    for name in places.names("interventions/*.h5"):
        path = places.there(name)
        yield path, _of_hdf5(path)
    for name in places.names("retraining/*/*/trainer.json")[:1]:
        path = places.folder / name
        yield path, _object(path, "identity")


def _object(path: Path, *keys: str) -> Config:
    try:
        found: Any = read_object(path)
        for key in keys:
            found = found[key]
        return dict(found)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error, again(path)) from error


def _of_hdf5(path: Path) -> Config:
    import h5py

    try:
        # What is published is never written again, so it needs no lock.
        with h5py.File(path, "r", locking=False) as file:
            return dict(json.loads(file.attrs["identity"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error, again(path)) from error
