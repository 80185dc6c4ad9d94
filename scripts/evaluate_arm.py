"""The metrics of every checkpoint of an arm's runs, or the baseline's.

All draws of an arm in one process: to import the model takes longer than to measure a
small one. Each run has a table of its own; a killed job goes on with the next run.
"""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.checkpoints.schedule import compared_steps
from headwater.corpus.domains import planted
from headwater.corpus.encoding import Encoder
from headwater.corpus.rows import Rows
from headwater.evaluation.losses import HeldOut
from headwater.evaluation.metrics import (
    Questions,
    check_finite,
    checkpoint_metrics,
    metrics_table,
)
from headwater.evaluation.natural_repeats import natural_repeats
from headwater.heads.probe_data import dataset_rows
from headwater.heads.sequences import JUDGING, draw_sequences
from headwater.heads.targets import read_target, read_window
from headwater.identity import arm_identity, identity
from headwater.interventions.runs import BASELINE
from headwater.models.sections import unit_of
from headwater.probes import find_probe
from headwater.progress import Progress
from headwater.publish import publish_folder
from headwater.seeds import stable_seed
from headwater.steps import step_numbers
from headwater.tables import write_table


def runs_of(snakemake, config, arm):
    """The checkpoints to measure of every run, by its name: (step, folder), ascending.

    Of the baseline those to which arms are compared, its first and its last.
    """
    folders = [Path(path) for path in snakemake.input.checkpoints]
    if arm == BASELINE:
        window = read_window(Path(snakemake.input.window), config).window
        saved = step_numbers(folders)
        wanted = compared_steps(window, config)
        ends = saved[0], saved[-1]
        return {BASELINE: [one for one in saved if one[0] in wanted or one in ends]}
    return {run.name: step_numbers(run.glob("step*")) for run in folders}


def held_out_rows(snakemake, config):
    """The held-out rows, and what their domains are called."""
    rows = Rows([Path(snakemake.input.held_out)], config)
    encoder = Encoder.open(Path(snakemake.input.tokenizer), config)
    names = [rows.domain_names[i] for i in rows.domains(0, len(rows))]
    return HeldOut(
        torch.from_numpy(rows.tokens(0, len(rows))),
        np.array(names, object),  # text of NumPy's own kind loses a NUL at its end
        encoder.end_of_document,
        planted(config),
    )


def questions(snakemake, config):
    """What every checkpoint is asked: sequences, held-out rows, the targets' probes."""
    inputs, shape, device = snakemake.input, config["heads"], job.device()
    stores = Path(inputs.held_out), Path(inputs.tokenizer)
    sequences = draw_sequences(JUDGING, shape["sequences"], *stores, config).to(device)
    held = held_out_rows(snakemake, config)
    seed = stable_seed(config["seed"], JUDGING, "natural")
    natural = natural_repeats(held, shape["sequences"], shape, seed)
    probes = {}
    for path in map(Path, inputs.targets):
        target, settings = read_target(path, config), config["targets"][path.stem]
        data = sequences
        if "data" in settings:
            data = dataset_rows(settings, inputs.tokenizer, config).to(device)
        probes[path.stem] = find_probe(target.probe), unit_of(target.unit, config), data
    return Questions(
        sequences=sequences,
        natural=natural.to(device) if natural else None,
        held_out=held.spread(config["evaluation"].get("rows_per_domain")),
        early=config["evaluation"]["early_tokens"],
        late=config["evaluation"]["late_tokens"],
        probes=probes,
    )


def measure(checkpoints, asked, config, update):
    """The table of one run."""
    lines = []
    for step, folder in checkpoints:
        model = load_model(folder, config).to(job.device())
        found = checkpoint_metrics(step, model, asked)
        check_finite(found, folder)
        lines += found
        update()
    return metrics_table(lines)


def stamp_of(snakemake, config, arm):
    """What the tables depend on, for a killed job to be gone on with."""
    code = {"code": snakemake.params.code, "made_of": snakemake.made_of}
    if arm == BASELINE:
        settings = config["evaluation"]
        targets = config["targets"]
        return {**identity("window", config, targets, evaluation=settings), **code}
    return {**arm_identity("evaluation", config, arm, 0), **code}


def main(snakemake):
    with job.start(snakemake) as config:
        arm = snakemake.wildcards.arm
        runs, asked = runs_of(snakemake, config, arm), questions(snakemake, config)
        stamp = stamp_of(snakemake, config, arm)
        with publish_folder(Path(snakemake.output[0]), stamp) as folder:
            rest = {
                folder / f"{name}.tsv": checkpoints
                for name, checkpoints in runs.items()
                if not (folder / f"{name}.tsv").exists()
            }
            total, left = (sum(map(len, of.values())) for of in (runs, rest))
            label = f"evaluate {arm}"
            progress = Progress(label, total, "checkpoints", done=total - left)
            for table, checkpoints in rest.items():
                write_table(table, measure(checkpoints, asked, config, progress.update))


main(snakemake)  # noqa: F821
