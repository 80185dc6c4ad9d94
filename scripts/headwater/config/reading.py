"""The config's file, from its bytes to its values; whatever it is, one line says so.

Only a regular file is opened, and only so much of it is read: a pipe would never end.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headwater.config.notation import parse
from headwater.errors import HeadwaterError
from headwater.problems import one_line, printable, show
from headwater.suggestions import closest

MOST_BYTES = 300_000
SHIPPED = Path("config")
ENDINGS = (".yaml", ".yml")
TEMPLATE = "__use_yte__"


def read_config(path: Path) -> dict[str, Any]:
    """The values of one config file, not checked yet.

    Raises:
        HeadwaterError: one line: it cannot be read, or is no YAML of sections.
    """
    try:
        return _sections(parse(_text(path)))
    except HeadwaterError as error:
        raise HeadwaterError(f"{shown(path)}: {error}") from error


def shown(path: Path) -> str:
    """A path as a person would name it: below the working directory without it."""
    near = os.path.relpath(path)
    return one_line(str(path) if near.startswith("..") else near)


def merged(configs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several configs as one: later ones win, key by key, as Snakemake has it."""
    result: dict[str, Any] = {}
    for config in configs:
        for key, value in config.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged([result[key], value]) if both else value
    return result


def override(word: str) -> dict[str, Any]:
    """What `key=value` of `--config` sets.

    Raises:
        HeadwaterError: one line: no such pair, a key within a section, no YAML.
    """
    key, equals, value = word.partition("=")
    where = f"--config {printable(word)}"
    if not equals or not key:
        raise HeadwaterError(f"{where}: expected key=value, such as seed=1")
    if "." in key:
        section, _, name = key.rpartition(".")
        for part in reversed(section.split(".")):
            name, value = part, f"{{{name}: {value}}}"
        raise HeadwaterError(f"{where}: name the section; write '{name}={value}'")
    try:
        return {key: parse(value)}
    except HeadwaterError as error:
        reason = str(error).removeprefix("line 1: ")
        raise HeadwaterError(f"{where}: {reason}") from error


def _text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise HeadwaterError(f"a folder{_within(path)}")
        if not stat.S_ISREG(mode):
            text = "a pipe or a device, which each job would have to read anew"
            raise HeadwaterError(f"{text}; write it to a file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HeadwaterError(f"no such config file{_meant(path)}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "check its permissions, or where it links to"
        raise HeadwaterError(f"cannot be read ({reason}); {advice}") from error
    if len(data) > MOST_BYTES:
        raise HeadwaterError(f"more than {MOST_BYTES:,} bytes; a config has fewer")
    return _decoded(data)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"line {line}: not UTF-8 (byte 0x{data[error.start]:02x})"
        raise HeadwaterError(f"{wrong}; save the file as UTF-8") from error


def _sections(found: Any) -> dict[str, Any]:
    if found is None:
        raise HeadwaterError("empty; copy config/config.yaml, and change what you need")
    if not isinstance(found, dict):
        wrong = f"expected sections (keys and values), found {show(found)}"
        raise HeadwaterError(wrong)
    if TEMPLATE in found:  # Snakemake would run the code in it
        raise HeadwaterError(f"{TEMPLATE}: a config holds no code; remove it")
    return found


def _within(folder: Path) -> str:
    files = sorted(map(str, _configs(folder)))
    return f"; name a file in it, such as {files[0]}" if files else "; name a file"


def _meant(path: Path) -> str:
    if path.is_symlink():
        return f"; it links to {one_line(os.readlink(path))}, which is not there"
    files = [*_configs(path.parent), *_configs(SHIPPED)]
    known = {str(file): file for file in files}
    by_name = {file.name: name for name, file in reversed(known.items())}
    match = closest(path, known) or by_name.get(closest(path.name, by_name) or "")
    return f"; did you mean {match}?" if match else ""


def _configs(folder: Path) -> list[Path]:
    try:
        return [file for file in sorted(folder.iterdir()) if file.suffix in ENDINGS]
    except (OSError, ValueError):
        return []
