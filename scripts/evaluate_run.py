"""Head scores, losses and ICL of a run (the baseline or one arm) at its checkpoints."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import load_model
from headwater.corpus.rows import Rows
from headwater.evaluation.losses import HeldOut
from headwater.evaluation.metrics import checkpoint_metrics, metrics_table
from headwater.geometry import Head
from headwater.heads.sequences import load_probe_vocabulary, repeated_sequences
from headwater.heads.targets import read_target
from headwater.probes import find_probe
from headwater.progress import Progress
from headwater.publish import write_text
from headwater.seeds import stable_seed
from headwater.steps import step_numbers


def main(snakemake):
    with job.start(snakemake) as config:
        settings, heads = config["evaluation"], config["heads"]
        held_out = Path(snakemake.input.held_out)
        target = read_target(Path(snakemake.input.target[0]), config)
        name = config["window"]["target"]
        probes = {name: (find_probe(target.probe), Head.parse(target.head))}
        rows = Rows([held_out], config)
        names = [rows.domain_names[i] for i in rows.domains(0, len(rows))]
        held = HeldOut(torch.from_numpy(rows.tokens(0, len(rows))), np.array(names))
        sequences = repeated_sequences(
            heads["sequences"],
            heads["half_length"],
            load_probe_vocabulary(held_out, Path(snakemake.input.tokenizer), config),
            stable_seed(config["seed"], "evaluation"),
        )
        sequences = sequences.to(job.device())
        folders = [Path(p) for p in snakemake.input.checkpoints]
        if len(folders) == 1 and not folders[0].name.startswith("step"):
            folders = list(folders[0].glob("step*"))
        checkpoints = step_numbers(folders)
        label = f"evaluate {Path(snakemake.output[0]).stem}"
        progress = Progress(label, len(checkpoints), "checkpoints")
        lines = []
        for step, folder in checkpoints:
            model = load_model(folder, config).to(job.device())
            early, late = settings["early_tokens"], settings["late_tokens"]
            lines += checkpoint_metrics(
                step, model, sequences, held, early, late, probes
            )
            progress.update()
        table = metrics_table(lines)
        write_text(Path(snakemake.output[0]), table.to_csv(sep="\t", index=False))


main(snakemake)  # noqa: F821
