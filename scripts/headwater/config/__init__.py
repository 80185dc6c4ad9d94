"""The config file: read, checked and completed before any job runs.

One YAML file is one experiment. The schema (`workflow/schemas/config.schema.yaml`) says
what may stand in it; `checks` holds what a schema cannot say. Snakemake loads this
package in every job, so it imports little and reads no data.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headwater.config import (  # noqa: F401 (they register)
    checks,
    target_checks,
    window_checks,
)
from headwater.config.arm_checks import arm_file_problems
from headwater.config.arms import completed_arms
from headwater.config.bounds import checkpoint_problems, text_problems
from headwater.config.files import (
    corpus_problems,
    held_out_problems,
    locale_problems,
    probe_problems,
    revision_problems,
    row_problems,
    shape_problems,
    tokenizer_problems,
)
from headwater.config.processor import settle_precision
from headwater.config.reading import merged, read_config
from headwater.config.registry import check_problems
from headwater.config.schema import MOST_PROBLEMS, fill_defaults, schema_problems
from headwater.config.study import members
from headwater.config.target_checks import PROBES
from headwater.corpus.sources import SOURCES
from headwater.problems import ConfigError, Key, Problem, touches

__all__ = [
    "PROBES",
    "ConfigError",
    "load_config",
    "read_config_file",
]

_SOURCE = " ".join(f"corpus.{source.key}" for source in SOURCES)

# Checks that look at local files, and the keys that they read.
ON_DISK: tuple[tuple[Callable[[dict[str, Any], Path], list[Problem]], str], ...] = (
    (corpus_problems, _SOURCE),
    (held_out_problems, "corpus.held_out"),
    (row_problems, f"{_SOURCE} corpus.seq_len corpus.held_out training checkpoints"),
    (tokenizer_problems, "corpus.tokenizer"),
    (probe_problems, "targets"),
    (arm_file_problems, "arms"),
    (revision_problems, "checkpoints"),
    (shape_problems, "checkpoints model corpus.seq_len"),
)


def load_config(raw: Mapping[str, Any], file: str, base: Path) -> dict[str, Any]:
    """Validate a config and fill in its defaults.

    Whole numbers become int where the schema says integer, and float where it says
    number. Keys come in the schema's order, targets and arms in the file's. Arms are as
    `completed_arms` has them.

    Args:
        raw: the config as YAML gave it.
        base: the folder that relative paths in the config start from.

    Raises:
        ConfigError: one line for each problem, all at once, up to `MOST_PROBLEMS`.
    """
    given = _plain(raw)
    problems = [*text_problems(given), *schema_problems(given)]
    problems = _named_once([*problems, *locale_problems(given)])
    config: dict[str, Any] = fill_defaults(given)
    if len(problems) <= MOST_PROBLEMS:
        problems += checkpoint_problems(config, _broken(problems))
        problems += _further_problems(config, _broken(problems), base)
    lines = [f"{file}: {problem}" for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"{file}: more is wrong; mend these {MOST_PROBLEMS} first")
    if lines:
        raise ConfigError("\n".join(lines))
    settle_precision(config)
    try:
        method = config["influence"]["method"]
        config["arms"] = completed_arms(config["arms"], base, method)
    except OSError as error:
        raise ConfigError(f"{file}: arms: {error}") from error
    if "models" in config["study"]:
        for name, member in members(config).items():
            load_config({**member, "study": {}}, f"{file}: study.models.{name}", base)
    return config


def read_config_file(*names: str) -> dict[str, Any]:
    """The config of a file, for the commands that are not Snakemake.

    Args:
        names: of the file, or of several, of which later ones win key by key.

    Raises:
        HeadwaterError: no such file, not YAML, or one line a mistake.
    """
    paths = [Path(name) for name in names]
    raw = merged(read_config(path) for path in paths)
    return load_config(raw, " + ".join(map(str, paths)), Path.cwd())


def _broken(known: list[Problem]) -> set[Key]:
    # What was found wrong is not looked at again, so that one mistake makes one line.
    meant = {problem.meant for problem in known if problem.meant}
    return meant | {problem.key for problem in known}


def _further_problems(
    config: dict[str, Any], broken: set[Key], base: Path
) -> list[Problem]:
    problems = check_problems(config, broken)
    for function, reads in ON_DISK:
        if not any(touches(broken, tuple(key.split("."))) for key in reads.split()):
            try:
                problems += function(config, base)
            except OSError as error:
                key: Key = tuple(reads.split()[0].split("."))
                problems.append(Problem(key, f"cannot be looked at ({error})"))
    return problems


def _named_once(problems: list[Problem]) -> list[Problem]:
    named: dict[Key, Problem] = {}
    for problem in problems:
        named.setdefault(problem.key, problem)
    return list(named.values())


def _plain(value: Any) -> Any:
    # YAML allows keys that are no text (`on`, 1); as text they fail as unknown.
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
