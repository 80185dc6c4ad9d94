"""Compare every arm with the baseline: on the head, and on everything beside it."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.checkpoints.schedule import compared_steps
from headwater.evaluation.effects import curves, effect, summarise
from headwater.evaluation.specificity import specificity
from headwater.heads.targets import read_target, read_window
from headwater.interventions.files import read_arm, read_match
from headwater.interventions.runs import BASELINE, run_name, run_tables
from headwater.tables import read_table, write_table

ABOUT = ["arm", "action", "rows", "draw", "rows_changed", "overlap"]


def about_runs(snakemake, config):
    """What every run does, the baseline first: a line a run, by its name."""
    inputs = snakemake.input
    arms = {Path(p).stem: Path(p) for p in inputs.arms}
    matches = {Path(p).name.partition(".")[0]: Path(p) for p in inputs.matches}
    lines = {BASELINE: (BASELINE, "none", "none", 0, 0, float("nan"))}
    for arm, draw in snakemake.params.arm_runs:
        settings, run = config["arms"][arm], run_name(arm, draw)
        overlap = read_match(matches[run], config).overlap
        changed = (
            len(read_arm(arms[run], config).picked),
            float("nan") if overlap is None else overlap,
        )
        lines[run] = (arm, settings["action"], settings["rows"], draw, *changed)
    return pd.DataFrame.from_dict(lines, orient="index", columns=ABOUT)


def effects_on(unit, target, tables, steps, about):
    """The effects of every run on the unit of a target."""
    curve = unit.series_in(target)
    runs = {run: curves(tables[run], curve, target, steps) for run in about.index}
    found = {run: effect(one, runs[BASELINE]) for run, one in runs.items()}
    effects = about.join(pd.DataFrame.from_dict(found, orient="index"))
    return effects.reset_index(drop=True)


def main(snakemake):
    with job.start(snakemake) as config:
        output = snakemake.output
        choice = read_window(Path(snakemake.input.window), config)
        units = {
            Path(path).stem: read_target(Path(path), config)
            for path in snakemake.input.targets
        }
        steps = compared_steps(choice.window, config)
        tables = {
            path.stem: read_table(path)
            for path in run_tables(map(Path, snakemake.input.runs))
        }
        about, window = about_runs(snakemake, config), config["window"]["target"]
        on = {
            name: effects_on(unit, name, tables, steps, about)
            for name, unit in units.items()
        }
        effects, unit = on.pop(window), units[window]
        others = [
            table.assign(target=name, unit=units[name].unit)
            for name, table in on.items()
        ]
        none = effects.iloc[:0].assign(target=[], unit=[])
        beside = specificity(tables, config["arms"], unit.score, steps)
        for table, path in (
            (effects, output.effects),
            (pd.concat(others) if others else none, output.control_units),
            (summarise(effects), output.summary),
            (beside, output.specificity),
        ):
            write_table(Path(path), table)


main(snakemake)  # noqa: F821
