"""How far the released code's choices, or a simpler Hessian, change the ranking."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.corpus.holdout import token_counts
from headwater.gradients.passes import PassOptions
from headwater.heads.probe_data import probe_data
from headwater.heads.targets import open_window, read_target
from headwater.influence.ranking import agreement
from headwater.influence.variants import Question, Setting, variant_scores
from headwater.models.sections import unit_of
from headwater.seeds import stable_seed
from headwater.tables import write_table


def setting_of(snakemake, config):
    """Model, rows and options, the same for all variants."""
    inputs = snakemake.input
    _, window = open_window(inputs.window, inputs.rows, config)
    generator = np.random.default_rng(stable_seed(config["seed"], "variants"))
    fit_rows = window.sample(config["curvature"]["rows"], generator)
    sample = window.sample(config["influence"]["fidelity_rows"], generator)
    model = load_model(Path(inputs.checkpoint), config).to(job.device())
    ids = len(token_counts(Path(inputs.held_out), config))
    fit = PassOptions(
        config["curvature"]["batch_size"],
        stable_seed(config["seed"], "variants", "labels"),
        ids,
        numbers=window.numbers(fit_rows),
    )
    return Setting(
        model=model,
        fit_rows=torch.from_numpy(window.take(fit_rows)),
        rows=torch.from_numpy(window.take(sample)),
        damping=config["influence"]["damping"],
        fit=fit,
        score=replace(fit, seed=None, numbers=window.numbers(sample)),
    )


def main(snakemake):
    with job.start(snakemake) as config:
        setting = setting_of(snakemake, config)
        held_out, tokenizer = snakemake.input.held_out, snakemake.input.tokenizer
        lines = []
        for path in map(Path, snakemake.input.targets):
            target = read_target(path, config)
            data = probe_data(config["targets"][path.stem], held_out, tokenizer, config)
            question = Question(target.probe, unit_of(target.unit, config), data)
            scores = dict(variant_scores(setting, question))
            correct = scores.pop("correct")
            for name, column in scores.items():
                lines.append(
                    (path.stem, name, len(column), *agreement(column, correct))
                )
                job.logger.info(
                    "%s, %s: on %d rows, Spearman %.3f with the correct scores, "
                    "overlap of the top 10 %% %.2f",
                    *lines[-1],
                )
        columns = ["target", "variant", "rows", "spearman", "overlap"]
        table = pd.DataFrame(lines, columns=columns)
        write_table(Path(snakemake.output[0]), table)


main(snakemake)  # noqa: F821
