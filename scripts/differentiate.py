"""The derivative of targets' scores with respect to every row's weight."""

from functools import partial
from pathlib import Path

import numpy as np

from headwater import job
from headwater.checkpoints.files import can_resume, load_model
from headwater.checkpoints.schedule import compared_steps
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.scores import METAGRADIENT
from headwater.metagradient.metric import measured_steps, metrics_of
from headwater.metagradient.replay import Replay
from headwater.metagradient.smoothness import smoothness, tell
from headwater.metagradient.stage import Window, metagradient
from headwater.metagradient.storage import GB, plan_space
from headwater.publish import discard_work, work_folder, write_json
from headwater.training.batches import baseline_batches
from headwater.training.recipe import make_optimizer
from headwater.training.run import recipe_of


def replay_of(start, rows, config):
    """The training, at the window's start."""
    recipe = recipe_of(config, config["retraining"]["divisor"])
    model = load_model(start, config).to(job.device())
    optimizer = make_optimizer(model, recipe)
    batches = baseline_batches(rows, config["training"]["batch_size"])
    return Replay(model, optimizer, recipe, batches)


def on_disk(start, checkpoints, steps):
    """By step, the checkpoints of the window from which training can go on."""
    found = {}
    for path in map(Path, checkpoints):
        step = int(path.name.removeprefix("step"))
        if step in steps and can_resume(path):
            found[step] = path
    return {**found, steps.start: start}


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, names = snakemake.input, list(snakemake.params.targets)
        choice, window = open_window(inputs.window, inputs.rows, config)
        settings = config["metagradient"]
        measured = measured_steps(
            compared_steps(choice.window, config), settings["metric"]
        )
        start = Path(inputs.checkpoint)
        replay = replay_of(start, window.rows, config)
        steps = range(choice.window.start, choice.window.end)
        known = {
            step: partial(replay.load, path, config)
            for step, path in on_disk(start, inputs.checkpoints, steps).items()
        }
        space = settings["space_gb"] * GB
        plan = plan_space(steps, known, replay.size, len(names), space)
        job.logger.info(
            "metagradient: %d segments, %.2f trainings of the window and the way back",
            *(len(plan.segments), plan.trained),
        )
        corpus = inputs.held_out, inputs.tokenizer
        metrics = [*metrics_of(inputs.targets, *corpus, config).values()]
        *outputs, about = map(Path, snakemake.output)
        stamp = identity("metagradient", config, names)
        cut = [[part.start, part.stop] for part in plan.segments]
        begun = {**stamp, "made_of": snakemake.made_of, "cut": cut, "kept": plan.kept}
        work = about.with_name("run")
        with work_folder(work, begun) as folder:
            whole = Window(replay, known, metrics, measured, window.batch_size, plan)
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
