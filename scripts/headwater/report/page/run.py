"""Section `run`: the config as run, and all that is needed to make it again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from headwater.config.schema import fill_defaults
from headwater.corpus.domains import generated, planted
from headwater.corpus.sources import SOURCES
from headwater.identity import Config
from headwater.report.page import provenance
from headwater.report.page.inputs import Inputs

COMMAND = ".venv/bin/snakemake --cores all --configfile config.yaml"
NOTICES = ("NOTICE.md", "NOTICE.txt", "NOTICE")
SOURCE_KEYS = tuple(source.key for source in SOURCES)
CITE = (
    "Mechanistic Data Attribution: arXiv 2601.21996. Headwater computes it; cite the "
    "paper for the method, and this page's commit for the numbers."
)


def run_facts(run: Inputs) -> dict[str, Any]:
    """All of the section."""
    config = _stated(run.config)
    return {
        "config": yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True),
        "changed": list(changed(config)),
        "notes": list(notes(run)),
        "code": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "costs": provenance.costs(run.results),
        "amounts": amounts(run),
        "sources": list(sources(config)),
        "seeds": {"seed": config["seed"], "order": config["corpus"].get("order")},
        "command": COMMAND,
        "cite": CITE,
        "planted": planted(config),
        "generated": generated(config),
    }


def amounts(run: Inputs) -> dict[str, int]:
    """How much was trained on: up to the last checkpoint, not what was planned."""
    steps = int(run.heads["step"].max())
    rows = steps * run.window.batch_size
    return {
        "steps to the last checkpoint": steps,
        "rows up to it": rows,
        "tokens up to it": rows * run.length,
        "rows in the window": len(run.window),
        "tokens predicted in a row": run.length,
    }


def notes(run: Inputs) -> Iterator[str]:
    """What keys of the config mean that this page seems to contradict."""
    config, steps = run.config, int(run.heads["step"].max())
    if "stop" in config["training"] and steps < config["training"]["steps"]:
        after = config["training"]["stop"]["after"]
        yield (
            f"training.steps is the most: this training ended at step {steps:,}, "
            f"{after:,} steps after its head had been found."
        )
    if config["study"]:
        yield "study is for `snakemake study`: this page is of one run, with one seed."
    rows = config["report"]["rows"]
    if rows != "all":
        yield "report.rows counts either end of a ranking."
    yield "corpus.seq_len tokens of a row are read; one more is only predicted."


def _stated(config: Config) -> dict[str, Any]:
    """The config as a file may say it: without the digests of arms' own files."""
    arms = {
        name: {key: value for key, value in arm.items() if key != "sha256"}
        for name, arm in config["arms"].items()
    }
    return {**config, "arms": arms}


def changed(config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every key whose value is not the schema's default: key, default, value."""
    sections = [name for name, value in config.items() if isinstance(value, Mapping)]
    defaults = fill_defaults({name: {} for name in sections})
    yield from _differences("", defaults, _plain(config))


def _differences(key: str, default: Any, value: Any) -> Iterator[dict[str, str]]:
    section = default is None or isinstance(default, Mapping)
    if isinstance(value, Mapping) and value and section:
        for name, entry in value.items():
            below = (default or {}).get(name)
            yield from _differences(f"{key}.{name}" if key else name, below, entry)
    elif value != default:
        yield {
            "key": key,
            "default": "" if default is None else _short(default),
            "value": _short(value),
        }


def _short(value: Any) -> str:
    text = str(yaml.safe_dump(value, default_flow_style=True, width=1 << 20))
    return text.removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def sources(config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Where each source is, and the file of its licences where there is one."""
    corpus = config["corpus"]
    for key in SOURCE_KEYS:
        value = corpus.get(key, [])
        for place in value if isinstance(value, list | tuple) else [value]:
            text = place if isinstance(place, str) else _short(_plain(place))
            yield {"source": f"{key}: {text}", "licences": _notice(place)}


def _notice(place: Any) -> str:
    """The notice in a source's folder; of a place elsewhere nothing is known."""
    if not isinstance(place, str):
        return ""
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    found = [folder / name for name in NOTICES if (folder / name).is_file()]
    return str(found[0]) if found else ""
