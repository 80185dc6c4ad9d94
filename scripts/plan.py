"""Say what the experiment will cost before it runs: jobs, hours, gigabytes, files."""

import shutil
import sys
from pathlib import Path

from headwater import job
from headwater.config.study import members
from headwater.plan.estimate import Folders, experiment_of, gradient_seconds, plan_rows
from headwater.plan.limits import (
    disk_warning,
    memory_warning,
    rule_limits,
    shard_warning,
    time_warning,
)
from headwater.plan.ranges import total
from headwater.plan.table import as_tsv, joined, render
from headwater.plan.words import assumptions
from headwater.publish import write_text


def warnings(config, lines, limits, params, folders):
    """What will not fit, one line each."""
    found = []
    for line in lines:
        limit = limits[line.rule]
        found.append(memory_warning(line.rule, config, limit))
        if params.cluster:  # nothing else ends a job at its limit
            found.append(time_warning(line.rule, line.longest, limit))
    if params.gpu:
        found.append(shard_warning(config, gradient_seconds(config, folders)))
    free = shutil.disk_usage(folders.results.parent).free
    there = sum(p.stat().st_size for p in folders.results.rglob("*") if p.is_file())
    found.append(disk_warning(total([line.kept for line in lines]), there, free))
    return [warning for warning in found if warning]


def member_row(member, limits, gpu):
    """A member of a study as one row."""
    name, config = member
    folders = Folders.of(config["experiment"])
    experiment = experiment_of(config, Path())
    return joined(name, plan_rows(experiment, limits, gpu, folders))


def main(snakemake):
    with job.start(snakemake) as config:
        params = snakemake.params
        limits = rule_limits(params.limits)
        folders, gpu = Folders.of(config["experiment"]), bool(params.gpu)
        folders.results.mkdir(parents=True, exist_ok=True)
        rows = plan_rows(experiment_of(config, Path()), limits, gpu, folders)
        print(f"\n{config['experiment']}: the whole experiment, from nothing\n")
        print(render(rows))
        if study := [member_row(one, limits, gpu) for one in members(config).items()]:
            print("\n`snakemake study`, member by member, each from nothing\n")
            print(render(study, "member"))
        bases = {row.basis for row in rows}
        print("\n" + assumptions(config, folders, gpu, bases))
        for warning in warnings(config, rows, limits, params, folders):
            print(f"WARNING {warning}")
        target = folders.results / "plan.tsv"
        write_text(target, as_tsv(rows))
        print(f"\nEvery rule by itself: {target}\n", flush=True)


if "snakemake" not in globals():
    sys.exit("a rule's script; type: .venv/bin/snakemake --cores 1 plan")
main(snakemake)  # noqa: F821
