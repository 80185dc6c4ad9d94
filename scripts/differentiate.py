"""The derivative of targets' scores with respect to every row's weight."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.schedule import compared_steps
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.scores import METAGRADIENT
from headwater.metagradient.metric import measured_steps, metrics_of
from headwater.metagradient.smoothness import smoothness, tell
from headwater.metagradient.stage import metagradient
from headwater.metagradient.windows import Windows
from headwater.publish import discard_work, work_folder, write_json


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, names = snakemake.input, list(snakemake.params.targets)
        choice, window = open_window(inputs.window, inputs.rows, config)
        measured = measured_steps(
            compared_steps(choice.window, config), config["metagradient"]["metric"]
        )
        corpus = inputs.held_out, inputs.tokenizer
        metrics = [*metrics_of(inputs.targets, *corpus, config).values()]
        windows = Windows(Path(inputs.checkpoint), window, metrics, config)
        whole, steps = windows.baseline(inputs.checkpoints, measured), windows.steps
        job.logger.info(
            "metagradient: %d segments, %.2f trainings of the window and the way back",
            *(len(whole.plan.segments), whole.plan.trained),
        )
        *outputs, about = map(Path, snakemake.output)
        stamp = identity("metagradient", config, names)
        begun = {**stamp, "made_of": snakemake.made_of, **whole.plan.identity}
        work = about.with_name("run")
        with work_folder(work, begun) as folder:
            way = metagradient(whole, folder)
            found = smoothness(way, names, steps, measured)
            for name, path, scores in zip(names, outputs, way.scores, strict=True):
                facts = {METAGRADIENT: scores.cpu().numpy().astype(np.float32)}
                own = identity("metagradient", config, [name], target=name)
                write_facts(path, facts, own)
            write_json(about, {"identity": stamp, "targets": found})
            discard_work(work)
        tell(found)


main(snakemake)  # noqa: F821
