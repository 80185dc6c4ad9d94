"""What was typed after `snakemake`: config files, changes to them, and targets.

Snakemake reads config files itself, before it looks at any rule, and in YAML 1.1.
`profiles/default` is read before them, and calls `read_configs_first`.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import Any, NoReturn

from headwater.config.reading import ENDINGS, merged, override, read_config, shown
from headwater.errors import HeadwaterError
from headwater.plan.dag import rule_names
from headwater.problems import one_line
from headwater.suggestions import closest, suggestion, unknown_name

DEFAULT = Path("config/config.yaml")
STUDY = "study"  # the target
MOST_OF_A_KIND = 10_000  # files among which a misspelt one is looked for
# The modules of Snakemake that call its functions to read files, and `--config`.
_FILES = "snakemake.common.configfile", "snakemake.settings.types"
_WORDS, _TARGETS = "snakemake.cli", "snakemake.api"
_NO_REPORT = re.compile(r"File (.+) marked for report but does not exist")


def read_configs_first() -> None:
    """Have Snakemake's main process read configs as Headwater does.

    What Snakemake's own functions would not read, in a job, is refused as well.
    """
    for module in _FILES:
        _replace(module, "load_configfile", _file)
    _replace(_WORDS, "parse_config", _overrides)
    api = getattr(sys.modules.get(_TARGETS), "DAGApi", None)
    _check_targets(api)
    _check_report(api)


def typed_config(workflow: Any) -> tuple[dict[str, Any], str]:
    """The values of all config files and of `--config`, and what to call them.

    Args:
        workflow: Snakemake's; any of its processes.

    Raises:
        HeadwaterError: as `read_config` and `override`.
    """
    files = list(workflow.overwrite_configfiles) or [DEFAULT]
    words = workflow.config_settings.config_args or []
    raw = merged([*map(read_config, files), *map(override, words)])
    names = [shown(file) for file in files]
    return raw, ", ".join([*names, *(["--config"] if words else [])])


def repeated(words: Iterable[str], cores: int | None = None) -> list[str]:
    """What was typed after `snakemake`, for other configs: without config and targets.

    Args:
        words: as typed.
        cores: of this machine, in place of those typed; None to keep these.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+")
    parser.add_argument("--config", "-C", nargs="*")
    if cores is not None:
        parser.add_argument("--cores", "-c", "--jobs", "-j", nargs="?")
    _, others = parser.parse_known_args(list(words))
    kept = [word for word in others if word not in (STUDY, "--")]
    return kept if cores is None else [*kept, "--cores", str(cores)]


def stop(error: HeadwaterError | str) -> NoReturn:
    """End Snakemake with one line a problem, and no traceback."""
    print(error, file=sys.stderr)
    sys.exit(1)


def _replace(module: str, name: str, ours: Callable[[Any], Any]) -> None:
    theirs = getattr(sys.modules.get(module), name, None)
    if theirs is None:
        return  # another Snakemake: it reads configs first, as it did

    def read(given: Any) -> Any:
        try:
            found = ours(given)
            _try_theirs(theirs, given)
        except HeadwaterError as error:
            stop(error)
        return found

    setattr(sys.modules[module], name, read)


def _check_targets(api: Any) -> None:
    begin = getattr(api, "__post_init__", None)
    if begin is None:
        return

    def check(self: Any) -> None:
        begin(self)  # hands the targets to the workflow, whose rules are known
        workflow = self.workflow_api._workflow
        values = workflow.globals.get("WILDCARD_VALUES", {})
        if problems := list(target_problems(workflow, values)):
            stop("\n".join(problems))

    api.__post_init__ = check


def _check_report(api: Any) -> None:
    collect = getattr(api, "create_report", None)
    if collect is None:
        return

    def check(*words: Any, **named: Any) -> None:
        try:
            collect(*words, **named)
        except Exception as error:
            if found := _NO_REPORT.search(str(error)):
                stop(
                    f"{found[1]}: not there, so the run is not finished; run the same "
                    "command without --report first"
                )
            raise

    api.create_report = check


def _try_theirs(theirs: Callable[[Any], Any], given: Any) -> None:
    try:
        theirs(given)
    except Exception as error:
        what = shown(given) if isinstance(given, Path) else f"--config {given}"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HeadwaterError(f"{what}: Snakemake cannot read it ({reason})") from error


def _file(given: str | Path) -> dict[str, Any]:
    path, word = Path(given), str(given)
    if path.suffix in ENDINGS or os.path.lexists(path):
        return read_config(path)
    target = word if word.startswith("results/") else closest(word, _target_names())
    raise HeadwaterError(
        f"{one_line(word)}: no config file; --configfile takes every word after it, so "
        f"write {target or 'targets'} before it"
    )


def _target_names() -> list[str]:
    return ["all", *rule_names()]


def _overrides(words: Iterable[str] | None) -> dict[str, Any]:
    return merged(map(override, words or ()))


def target_problems(
    workflow: Any, values: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    """What was typed as a target and is none, one line each.

    Args:
        workflow: Snakemake's, with all rules.
        values: of the wildcards.
    """
    settings = workflow.dag_settings
    kinds = settings.targets, settings.forcerun, settings.until, settings.omit_from
    rules = list(workflow.rules)
    files = {word for words in kinds for word in words} - {rule.name for rule in rules}
    for word in sorted(files):
        if text := _target_problem(word, rules, values):
            yield f"{one_line(word)}: {text}"


def _target_problem(
    word: str, rules: list[Any], values: Mapping[str, Iterable[str]]
) -> str | None:
    makers = [rule.get_wildcards(word) for rule in rules if rule.is_producer(word)]
    if not makers:
        known = [*(rule.name for rule in rules), *_files_of(rules, values)]
        otherwise = "; `snakemake --list` names the targets"
        return f"no target{suggestion(word, known, otherwise)}"
    for wildcards in makers:
        wrong = [n for n, v in wildcards.items() if v not in values.get(n, [v])]
        if not wrong:
            return None
    return unknown_name(wrong[0], wildcards[wrong[0]], values[wrong[0]])


def _files_of(rules: list[Any], values: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for file in (file for rule in rules for file in rule.products()):
        names = sorted(file.get_wildcard_names())
        choices = product(*(values.get(name, ()) for name in names))
        for choice in islice(choices, MOST_OF_A_KIND):
            yield str(file.apply_wildcards(dict(zip(names, choice, strict=True))))
