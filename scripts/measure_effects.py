"""Compare every arm with the baseline: one line a draw, and one line an arm."""

from pathlib import Path

import pandas as pd

from headwater import job
from headwater.checkpoints.schedule import arm_schedule
from headwater.evaluation.effects import curves, effect, summarise
from headwater.hdf5 import open_file
from headwater.heads.targets import read_target, read_window
from headwater.interventions.runs import BASELINE, run_name, run_tables
from headwater.publish import write_text


def main(snakemake):
    with job.start(snakemake) as config:
        choice = read_window(Path(snakemake.input.window), config)
        target = read_target(Path(snakemake.input.target[0]), config)
        name = config["window"]["target"]
        start, end = choice.window.start, choice.window.end
        steps = arm_schedule(start, end, config["retraining"]["checkpoint_every"])
        tables = {
            path.stem: pd.read_csv(path, sep="\t")
            for path in run_tables(map(Path, snakemake.input.runs))
        }
        picked = {Path(p).stem: p for p in snakemake.input.arms}
        runs = {
            run: curves(table, target.score, target.head, name, steps)
            for run, table in tables.items()
        }
        none = {"action": "none", "rows": "none", "draw": 0, "rows_changed": 0}
        base = effect(runs[BASELINE], runs[BASELINE])
        lines = [{"arm": BASELINE, **none, **base}]
        for arm, draw in snakemake.params.arm_runs:
            settings = config["arms"][arm]
            run = run_name(arm, draw)
            with open_file(Path(picked[run]), config) as file:
                changed = len(file["picked"])
            lines.append(
                {
                    "arm": arm,
                    "action": settings["action"],
                    "rows": settings["rows"],
                    "draw": draw,
                    "rows_changed": changed,
                    **effect(runs[run], runs[BASELINE]),
                }
            )
        effects = pd.DataFrame(lines)
        for table, path in (
            (effects, snakemake.output.effects),
            (summarise(effects), snakemake.output.summary),
        ):
            write_text(Path(path), table.to_csv(sep="\t", index=False))


main(snakemake)  # noqa: F821
