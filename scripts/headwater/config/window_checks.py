"""Checks of the window, and of what must fit into it."""

from collections.abc import Iterator

from headwater.checkpoints.schedule import saved_steps
from headwater.config.registry import Config, check, names, problem
from headwater.problems import Problem
from headwater.steps import rows_of_steps

WINDOW = ("window.start", "window.end", "training.steps")


@check("window.checkpoints", "window.score_at")
def _the_end_is_one_checkpoint(config: Config) -> Iterator[Problem]:
    window = config["window"]
    if window["score_at"] == "end" and window["checkpoints"] > 1:
        text = f"{window['checkpoints']} go with score_at: start; end is one"
        yield problem("window.checkpoints", text)


@check("window.start", "window.end", "training.steps")
def _window_has_steps(config: Config) -> Iterator[Problem]:
    start, end = config["window"]["start"], config["window"]["end"]
    last = config["training"]["steps"]
    if end != "auto" and end > last:
        text = f"{end} is after the last step, training.steps ({last})"
        yield problem("window.end", text)
    limit, name = (last, "training.steps") if end == "auto" else (end, "window.end")
    if start != "auto" and start >= limit:
        yield problem("window.start", f"{start} is not before {name} ({limit})")


@check(
    "window.start",
    "window.end",
    "training.steps",
    "training.checkpoint_every",
    "window.score_at",
    "checkpoints",
)
def _window_has_checkpoints(config: Config) -> Iterator[Problem]:
    steps = saved_steps(config)
    window = config["window"]
    # Nothing is retrained from revisions: only the scores need a checkpoint.
    taken = "revisions" in config["checkpoints"]
    for name in (window["score_at"],) if taken else ("start", "end"):
        step = window[name]
        if step == "auto" or step > config["training"]["steps"] or step in steps:
            continue
        near = [max((s for s in steps if s < step), default=None)]
        near += [min((s for s in steps if s > step), default=None)]
        known = " and ".join(str(s) for s in near if s is not None)
        text = f"step {step} has no checkpoint; the nearest are {known}"
        yield problem(f"window.{name}", text)


@check("window.end", "training.steps", "training.checkpoint_every", "checkpoints")
def _found_window_has_rows(config: Config) -> Iterator[Problem]:
    last, steps = saved_steps(config)[-1], config["training"]["steps"]
    if config["window"]["end"] == "auto" and last > steps:
        text = (
            f"step{last} is after training.steps ({steps}), up to which there are "
            "rows, but window.end: auto may find it; raise training.steps, or give "
            "window.end"
        )
        yield problem("checkpoints.revisions", text)


@check("training.stop", "window.start", "window.end")
def _a_found_end_has_a_found_window(config: Config) -> Iterator[Problem]:
    for name in ("start", "end") if "stop" in config["training"] else ():
        if config["window"][name] != "auto":
            text = f"{config['window'][name]} may lie after the run's end, which "
            yield problem(f"window.{name}", text + "training.stop finds; write auto")


@check("retraining.checkpoint_every", "training.checkpoint_every", *WINDOW)
def _arms_meet_baseline(config: Config) -> Iterator[Problem]:
    if not names(config, "arms"):
        return  # nothing is trained again
    every = config["retraining"]["checkpoint_every"]
    baseline, steps = config["training"]["checkpoint_every"], _window_steps(config)
    if 0 < steps < every:
        wrong = f"more than the {steps} steps that the window can have"
    elif every % baseline:
        wrong = f"no multiple of training.checkpoint_every ({baseline})"
    else:
        return
    advice = "it to a multiple of training.checkpoint_every, such as"
    if 0 < steps < baseline:
        advice = f"it and training.checkpoint_every ({baseline}) to at most"
    text = f"{every} is {wrong}; set {advice} {min(baseline, max(steps, 1))}"
    yield problem("retraining.checkpoint_every", text)


@check("curvature.rows", "training.batch_size", *WINDOW)
def _curvature_has_rows(config: Config) -> Iterator[Problem]:
    yield from _window_rows_problem(config, "curvature", "rows")


@check("gradients.shards", "training.batch_size", *WINDOW)
def _gradient_shards_have_rows(config: Config) -> Iterator[Problem]:
    yield from _window_rows_problem(config, "gradients", "shards")


def _window_rows_problem(config: Config, section: str, key: str) -> Iterator[Problem]:
    wanted = config[section][key]
    rows = rows_of_steps(config, _window_steps(config))
    if 0 < rows < wanted:
        text = f"{wanted} is more than the {rows} rows that the window can have"
        yield problem(f"{section}.{key}", text)


def _window_steps(config: Config) -> int:
    # The longest the window can be, where an end of it is still to be found.
    start, end = config["window"]["start"], config["window"]["end"]
    first = 0 if start == "auto" else start
    last = config["training"]["steps"] if end == "auto" else end
    return int(last - first)
