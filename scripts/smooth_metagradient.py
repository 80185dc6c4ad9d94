"""A smoothed derivative of targets' scores with respect to every row's weight."""

from functools import partial
from pathlib import Path

import torch

from headwater import job
from headwater.checkpoints.schedule import compared_steps
from headwater.heads.targets import open_window
from headwater.identity import identity
from headwater.interventions.facts import write_facts
from headwater.interventions.scores import SMOOTHED
from headwater.metagradient.draws import (
    SAMPLED,
    SEGMENTS,
    by_row,
    check_divided,
    draws_of,
    mean_and_error,
    segment_ends,
)
from headwater.metagradient.metric import measured_steps, metrics_of
from headwater.metagradient.smoothness import smoothness, tell
from headwater.metagradient.stage import averaged
from headwater.metagradient.windows import Windows
from headwater.publish import discard_work, work_folder, write_json
from headwater.training.batches import arm_batches


def of_segments(windows, measured, checkpoints, folder):
    """The scores of each target, [1, rows], and the one way back."""
    ways = averaged([partial(windows.baseline, checkpoints, measured, True)], folder)
    return ways[0].scores[:, None], ways


def of_draws(smoothing, windows, measured, folder):
    """The scores of each target, [draws, rows], and each draw's way back."""
    config, rows = windows.config, windows.rows
    count = config["metagradient"]["draws"]
    draws = draws_of(smoothing, len(rows), count, config["seed"])
    check_divided(draws, rows.batch_size, config["retraining"]["divisor"])
    batches = (arm_batches(rows, draw, rows.start) for draw in draws)
    ways = averaged([partial(windows.other, one, measured) for one in batches], folder)
    pairs = zip(ways, draws, strict=True)
    return torch.stack([by_row(way.scores, draw) for way, draw in pairs], dim=1), ways


def write(path, score, scores, sampled, stamp):
    """Write a target's mean over draws, with its error where they are random."""
    if not sampled:
        write_facts(path, {score: scores.double().mean(0).float().numpy()}, stamp)
        return
    mean, error = mean_and_error(scores)
    write_facts(path, {score: mean}, stamp, {score: error})
    size, spread = float((error**2).mean() ** 0.5), float(mean.std())
    text = "%s: standard error %.2g, spread of the scores %.2g"
    job.logger.info(text, path.name, size, spread)


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, names = snakemake.input, list(snakemake.params.targets)
        smoothing = snakemake.wildcards.smoothing
        score, anew = SMOOTHED[smoothing], smoothing == SEGMENTS
        choice, window = open_window(inputs.window, inputs.rows, config)
        corpus = inputs.held_out, inputs.tokenizer
        metrics = [*metrics_of(inputs.targets, *corpus, config).values()]
        windows = Windows(Path(inputs.checkpoint), window, metrics, config)
        compared = compared_steps(choice.window, config)
        measured = measured_steps(compared, config["metagradient"]["metric"])
        if anew:
            measured = segment_ends(compared, config["metagradient"]["segment"])
        *outputs, about = map(Path, snakemake.output)
        stamp = identity(score, config, names)
        work = about.with_name(f"{smoothing}.run")
        with work_folder(work, {**stamp, "made_of": snakemake.made_of}) as folder:
            if anew:
                found, ways = of_segments(windows, measured, inputs.checkpoints, folder)
            else:
                found, ways = of_draws(smoothing, windows, measured, folder)
            for name, path, scores in zip(names, outputs, found, strict=True):
                own = identity(score, config, [name], target=name)
                write(path, score, scores, smoothing in SAMPLED, own)
            told = [
                smoothness(way, names, windows.steps, measured, anew) for way in ways
            ]
            write_json(about, {"identity": stamp, "trainings": told})
            discard_work(work)
        for one in told:
            tell(one)


main(snakemake)  # noqa: F821
