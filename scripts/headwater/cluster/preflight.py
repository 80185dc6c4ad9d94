"""Before the first job: would SLURM take what the jobs ask for?

Each distinct request is tried with `sbatch --test-only`, which submits nothing. What is
refused is compared with what the partitions have, and told with the profile's key. A
time limit is compared in any case: many clusters accept a job that is longer than its
partition allows, and never start it.
"""

import getpass
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.checkpoints.needs import interval_minutes
from headwater.cluster.folder import folder_problem
from headwater.cluster.partitions import Misfit, Partition, misfits, read_partitions
from headwater.cluster.profile import profile_file, profile_problems, shared_place
from headwater.cluster.requests import Request, distinct_requests, limit_growth
from headwater.errors import HeadwaterError
from headwater.plan.dag import rule_names, rules, trains
from headwater.slurm import call
from headwater.suggestions import suggestion

SWITCH = "HEADWATER_PREFLIGHT"  # `warn`: say what is found, and go on
SITE_KEYS = ("slurm_partition", "slurm_account", "qos", "constraint", "gres")
RULE_HINT = (
    "(Where a rule's line is `fit_factors: *gpu`, make it `fit_factors: {<<: *gpu, "
    "runtime: 120}`.)"
)
HINT = f"({SWITCH}=warn in the environment goes on in spite of this.)"
Overwritten = Mapping[str, Mapping[str, Any]]


def check(workflow: Any, config: Mapping[str, Any]) -> None:
    """Say what would keep the jobs of Snakemake's workflow from running.

    Raises:
        HeadwaterError: one line for each problem.
    """
    settings = workflow.resource_settings
    defaults = settings.default_resources
    overwritten = settings.overwrite_resources or {}
    file = profile_file()
    rules = rule_names() | {rule.name for rule in workflow.rules}
    names = [] if defaults is None else list(defaults)
    problems = profile_problems(file, rules, names, overwritten)
    if not problems:  # what is misspelt did not reach the jobs
        requests = distinct_requests(workflow)
        partitions = read_partitions() if requests else {}
        problems = _refused(requests, partitions, file, overwritten, config)
        _limit_attempts(workflow, requests, partitions)
    found = folder_problem(Path(workflow.workdir_init))
    _report([*problems, *([found] if found else [])])


def _limit_attempts(
    workflow: Any, requests: list[Request], partitions: Mapping[str, Partition]
) -> None:
    for request in requests:
        partition = partitions.get(str(request.wants.get("slurm_partition", "")))
        if partition is None:
            continue
        for rule in request.rules:
            limit_growth(workflow, rule, "mem_mb", partition.mem_mb)
            if partition.minutes is not None:
                limit_growth(workflow, rule, "runtime", partition.minutes)


def _report(problems: list[str]) -> None:
    if problems and os.environ.get(SWITCH) != "warn":
        of_rules = any("set-resources." in line for line in problems)
        hints = [RULE_HINT, HINT] if of_rules else [HINT]
        raise HeadwaterError("\n".join([*problems, *hints]))
    for line in problems:
        _warn(line)


def _warn(line: str) -> None:
    print(f"Headwater: warning: {line}", file=sys.stderr)


def _refused(
    requests: list[Request],
    partitions: Mapping[str, Partition],
    file: str,
    overwritten: Overwritten,
    config: Mapping[str, Any],
) -> list[str]:
    accounts = own("account") if requests else []
    rules_by_text: dict[tuple[str, str], list[str]] = defaultdict(list)
    warnings: list[str | None] = []
    for request in requests:
        found = misfits_of(request, partitions, accounts)
        for key, text in found:
            if key:
                rules_by_text[key, text] += request.rules
        hints = [text for key, text in found if not key]
        warnings += [*hints, _too_short(request, config)]
    for warning in dict.fromkeys(filter(None, warnings)):  # each once
        _warn(f"{file}: {warning}")
    return [
        f"{file}: {_place(key, rules, overwritten)}: {text}"
        for (key, text), rules in rules_by_text.items()
    ]


def misfits_of(
    request: Request, partitions: Mapping[str, Partition], accounts: list[str]
) -> list[Misfit]:
    """What is wrong with a request.

    Without a key, it may pass: SLURM refuses also what its nodes could do if they were
    up.

    Args:
        accounts: the user's; empty where there is no accounting.

    Raises:
        SlurmError: SLURM cannot be asked.
    """
    wants = request.wants
    found = misfits(wants, partitions)
    found += [own for own in (_account(wants, accounts), _qos(wants, accounts)) if own]
    if found:
        return found
    accepted, words = call(request.command)
    return [] if accepted else [_explained(words, wants)]


def _explained(words: str, wants: Mapping[str, Any]) -> Misfit:
    said = words.splitlines()[-1].removeprefix("sbatch: error: ")
    said = said.removeprefix("allocation failure: ")
    lower = said.lower()
    if "policy" in lower:  # of the account or QOS: perhaps only too many jobs now
        return "", f"limits of yours would keep jobs back now ({said})"
    if "qos" in lower:
        return "qos", f"{_value(wants, 'qos')} is refused{_listed('qos')} ({said})"
    if "account" in lower:
        value = _value(wants, "slurm_account")
        return "slurm_account", f"{value} is refused{_listed('account')} ({said})"
    for sign, key in (
        ("feature", "constraint"),
        ("gres", "gres"),
        ("time limit", "runtime"),
        ("--time", "runtime"),
        ("memory", "mem_mb"),
        ("--mem", "mem_mb"),
        ("processors", "threads"),
        ("partition", "slurm_partition"),
    ):
        if sign in lower:
            return key, f"{_value(wants, key)} is refused ({said})"
    asked = ", ".join(f"{key}={_value(wants, key)}" for key in _asked(wants))
    return "", f"no node can run these jobs now: {asked} ({said})"


def _account(wants: Mapping[str, Any], accounts: list[str]) -> Misfit | None:
    """The plugin refuses an account that is not the user's, even if SLURM does not."""
    account = str(wants.get("slurm_account") or "")
    known = [name.lower() for name in accounts]
    if not account or not known or account.lower() in known:
        return None
    hint = suggestion(account.lower(), known, f"; yours: {', '.join(sorted(known))}")
    return "slurm_account", f'"{account}" is not an account of yours{hint}'


def _qos(wants: Mapping[str, Any], accounts: list[str]) -> Misfit | None:
    """SLURM takes a QOS that does not exist where it enforces none."""
    qos = str(wants.get("qos") or "")
    if not qos or not accounts:
        return None
    answered, words = call(["sacctmgr", "-nP", "list", "qos", "format=name"])
    known = words.split() if answered else []
    if not known or qos in known:
        return None
    hint = suggestion(qos, known, f"; there are: {', '.join(sorted(known))}")
    return "qos", f'QOS "{qos}" does not exist{hint}'


def own(field: str) -> list[str]:
    """The user's accounts or QOS; nothing where there is no accounting."""
    which = (f"user={getpass.getuser()}", f"format={field}")
    try:
        known, words = call(["sacctmgr", "-nP", "list", "assoc", *which])
    except HeadwaterError:
        return []
    names = words.replace(",", "\n").split() if known else []
    return sorted(set(names))


def _listed(field: str) -> str:
    names = own(field)
    return f"; yours: {', '.join(names)}" if names else ""


def _value(wants: Mapping[str, Any], key: str) -> str:
    value = wants.get("_cores" if key == "threads" else key)
    return "nothing" if value is None else json.dumps(value)


def _asked(wants: Mapping[str, Any]) -> list[str]:
    keys = ("slurm_partition", "gpu", "gres", "constraint", "mem_mb", "runtime")
    return [key for key in (*keys, "threads") if key == "threads" or wants.get(key)]


def _too_short(request: Request, config: Mapping[str, Any]) -> str | None:
    """A training job whose time limit comes before its first new checkpoint.

    It saves its state in time and goes on, but waits in the queue for every piece.
    """
    minutes = int(request.wants.get("runtime") or 0)
    for rule in filter(trains, request.rules):
        section = rules()[rule].row.interval
        needed = interval_minutes(config, config[section]["checkpoint_every"])
        if minutes and minutes < needed:
            return (
                f"set-resources.{rule}.runtime: {minutes} minutes are less than one "
                f"checkpoint interval (about {needed}), and the run waits in the queue "
                f"after each; raise it, or lower {section}.checkpoint_every"
            )
    return None


def _place(key: str, rules: list[str], overwritten: Overwritten) -> str:
    """Where in the profile a resource of these rules is set, or can be."""
    if key == "threads":
        sections = {f"set-threads.{rule}" for rule in rules}
    else:
        sections = {_section(key, rule, overwritten) + f".{key}" for rule in rules}
    return shared_place(sorted(sections))


def _section(key: str, rule: str, overwritten: Overwritten) -> str:
    own = key not in SITE_KEYS or key in overwritten.get(rule, {})
    return f"set-resources.{rule}" if own else "default-resources"
