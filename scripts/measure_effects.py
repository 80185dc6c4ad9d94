"""Compare every arm with the baseline: on the head, and on everything beside it."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.checkpoints.schedule import arm_schedule
from headwater.evaluation.effects import curves, effect, summarise
from headwater.evaluation.specificity import specificity
from headwater.heads.targets import read_target, read_window
from headwater.interventions.files import read_arm
from headwater.interventions.runs import BASELINE, run_name, run_tables
from headwater.tables import read_table, write_table


def main(snakemake):
    with job.start(snakemake) as config:
        choice = read_window(Path(snakemake.input.window), config)
        target = read_target(Path(snakemake.input.target[0]), config)
        name = config["window"]["target"]
        start, end = choice.window.start, choice.window.end
        steps = arm_schedule(start, end, config["retraining"]["checkpoint_every"])
        tables = {
            path.stem: read_table(path)
            for path in run_tables(map(Path, snakemake.input.runs))
        }
        arms = {Path(p).stem: Path(p) for p in snakemake.input.arms}
        runs = {
            run: curves(table, target.score, target.head, name, steps)
            for run, table in tables.items()
        }
        none = {"action": "none", "rows": "none", "draw": 0, "rows_changed": 0}
        none["overlap"] = float("nan")
        base = effect(runs[BASELINE], runs[BASELINE])
        lines = [{"arm": BASELINE, **none, **base}]
        for arm, draw in snakemake.params.arm_runs:
            settings = config["arms"][arm]
            run = run_name(arm, draw)
            plan = read_arm(arms[run], config)
            lines.append(
                {
                    "arm": arm,
                    "action": settings["action"],
                    "rows": settings["rows"],
                    "draw": draw,
                    "rows_changed": len(plan.picked),
                    "overlap": float("nan") if plan.overlap is None else plan.overlap,
                    **effect(runs[run], runs[BASELINE]),
                }
            )
        effects = pd.DataFrame(lines)
        for table, path in (
            (effects, snakemake.output.effects),
            (summarise(effects), snakemake.output.summary),
            (
                specificity(tables, config["arms"], target.score, steps),
                snakemake.output.specificity,
            ),
        ):
            write_table(Path(path), table)


main(snakemake)  # noqa: F821
