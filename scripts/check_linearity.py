"""Predictions by the metagradient beside trainings with other weights."""

import json
from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.checkpoints.schedule import compared_steps
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import read_facts
from headwater.interventions.files import ArmRows
from headwater.interventions.scores import METAGRADIENT
from headwater.metagradient.linearity import (
    WEIGHTS,
    group_of,
    line_of,
    linearity_table,
    unpredicted,
)
from headwater.metagradient.metric import measured_steps, metrics_of
from headwater.publish import discard_work, work_folder
from headwater.seeds import stable_seed
from headwater.steps import step_name
from headwater.tables import write_table
from headwater.training.batches import arm_batches
from headwater.training.run import Run, recipe_of, train_run


def weighted(window, group, weight):
    """The baseline's batches with the group's rows at another weight."""
    weights = np.ones(len(window), np.float32)
    weights[group] = weight
    rows = ArmRows(np.arange(len(window)), weights, group)
    return arm_batches(window, rows, window.start)


def main(snakemake):
    with job.start(snakemake) as config:
        inputs = snakemake.input
        choice, window = open_window(inputs.window, inputs.rows, config)
        schedule = compared_steps(choice.window, config)
        measured = measured_steps(schedule, config["metagradient"]["metric"])
        corpus = inputs.held_out, inputs.tokenizer
        metrics = metrics_of(inputs.targets, *corpus, config)
        about = json.loads(Path(inputs.smoothness).read_text(encoding="utf-8"))
        seed = stable_seed(config["seed"], "metagradient", "linearity")
        group = group_of(len(window), np.random.default_rng(seed))
        scores = {
            name: read_facts(Path(path), config)[METAGRADIENT][group]
            for name, path in zip(metrics, inputs.scores, strict=True)
        }
        recipe = recipe_of(config, config["retraining"]["divisor"])
        stamp = identity("metagradient", config, metrics)
        work = Path(snakemake.output[0]).with_name("linearity")
        lines = []
        with work_folder(work, {**stamp, "made_of": snakemake.made_of}) as folder:
            for weight in WEIGHTS:
                own = folder / f"{weight:g}"
                run = Run(
                    f"a tenth of the rows x {weight:g}",
                    own,
                    schedule,
                    keep_optimizer=False,
                    identity=stamp,
                    device=str(job.device()),
                )
                batches = weighted(window, group, weight)
                start = Path(inputs.checkpoint)
                train_run(run, start, recipe, batches, config)
                found = {name: [] for name in metrics}
                for step in measured:
                    model = load_model(own / step_name(step), config).to(job.device())
                    for name, metric in metrics.items():
                        found[name].append(metric.value(model))
                for name in metrics:
                    values = about["targets"][name]["values"].values()
                    before = float(np.mean([*values]))
                    after = float(np.mean(found[name]))
                    line = line_of(name, weight, scores[name], before, after)
                    lines.append(line)
                    job.logger.info(
                        "%s: weights x %g: predicted %.4g, found %.4g",
                        *(name, weight, line[3], line[4]),
                    )
            table = linearity_table(lines)
            write_table(Path(snakemake.output[0]), table)
            for warning in unpredicted(table):
                job.logger.warning(warning)
            discard_work(work)


main(snakemake)  # noqa: F821
