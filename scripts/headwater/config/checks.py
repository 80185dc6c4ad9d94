"""What a schema cannot say: keys of the config that must fit each other.

Each check is one small function. Targets and arms have theirs in `target_checks`.
"""

import re
from collections.abc import Iterator

from headwater.checkpoints.schedule import saved_steps
from headwater.config.registry import Config, check, names, problem
from headwater.corpus.sources import find, gives_rows
from headwater.problems import Problem
from headwater.steps import rows_of_steps, training_rows


@check("experiment")
def _experiment_name_free(config: Config) -> Iterator[Problem]:
    name = config["experiment"]
    if name == "slurm":
        text = "the name is reserved: logs/slurm/ has the jobs' logs; choose another"
        yield problem("experiment", text)


@check("corpus.records", "corpus.seq_len")
def _records_fit(config: Config) -> Iterator[Problem]:
    records, row = config["corpus"]["records"], config["corpus"]["seq_len"] + 1
    shortest, longest = records["min_length"], records["max_length"]
    if records["fraction"] == 0:
        return
    if shortest > longest:
        text = f"{shortest} is more than max_length ({longest})"
        yield problem("corpus.records.min_length", text)
    if 2 * longest > row:
        text = f"2 * {longest} tokens do not fit in a row of {row} (corpus.seq_len + 1)"
        yield problem("corpus.records.max_length", text)


@check("corpus.records")
def _decoys_are_hidden(config: Config) -> Iterator[Problem]:
    records = config["corpus"]["records"]
    shares = {name: records[name] for name in ("repeats", "noise")}
    for name, share in shares.items():
        if share > 0 and not (records["hidden"] and records["fraction"] > 0):
            text = "decoys are told from hidden records: set fraction and hidden: true"
            yield problem(f"corpus.records.{name}", text)
    if (total := records["fraction"] + sum(shares.values())) >= 1:
        text = f"with repeats and noise {total:g} of all rows; leave some for text"
        yield problem("corpus.records.fraction", text)


@check("corpus")
def _rows_stay_as_they_are(config: Config) -> Iterator[Problem]:
    corpus = config["corpus"]
    if not gives_rows(corpus):
        if beside := find(corpus["held_out"]):
            text = "only for sources of token ids; text is held out by `fraction`"
            yield problem(f"corpus.held_out.{beside.key}", text)
        return
    if "order" in corpus:
        text = "a source of token ids is in training order already; remove this key"
        yield problem("corpus.order", text)
    if corpus["records"]["fraction"] > 0:
        text = "must be 0: a source of token ids is trained on as it is"
        yield problem("corpus.records.fraction", text)
    if "name" not in corpus["tokenizer"]:
        text = (
            "a source of token ids needs the tokenizer that made them; give `name`, "
            "its folder or its name on the hub"
        )
        yield problem("corpus.tokenizer", text)


@check("corpus.row_shards", "training.steps", "training.batch_size")
def _row_shards_have_rows(config: Config) -> Iterator[Problem]:
    shards, rows = config["corpus"]["row_shards"], training_rows(config)
    if shards > rows:
        text = f"{shards} shards for the {rows} rows of the training"
        yield problem("corpus.row_shards", text)


@check("model.hidden_size", "model.num_attention_heads")
def _heads_divide_width(config: Config) -> Iterator[Problem]:
    width, heads = _width_and_heads(config)
    if width % heads:
        text = f"{width} is no multiple of num_attention_heads ({heads})"
        yield problem("model.hidden_size", text)


@check("model.hidden_size", "model.num_attention_heads", "model.rotary_pct")
def _rotary_turns_pairs(config: Config) -> Iterator[Problem]:
    width, heads = _width_and_heads(config)
    share = config["model"]["rotary_pct"]
    turned = int(width // heads * share)
    if width % heads == 0 and (turned == 0 or turned % 2):
        text = (
            f"{share} of the {width // heads} dimensions of a head is {turned}; "
            "it must be even and not 0"
        )
        yield problem("model.rotary_pct", text)


def _width_and_heads(config: Config) -> tuple[int, int]:
    return config["model"]["hidden_size"], config["model"]["num_attention_heads"]


@check("corpus.tokenizer", "model.vocab_size")
def _vocabulary_fits(config: Config) -> Iterator[Problem]:
    tokens = config["corpus"]["tokenizer"].get("vocab_size", 0)
    size = config["model"].get("vocab_size", tokens)
    if tokens > size:
        text = f"{size} is less than corpus.tokenizer.vocab_size ({tokens})"
        yield problem("model.vocab_size", text)


COSINE = ("training.schedule", "training.decay_steps", "training.steps")


@check("training.warmup_steps", *COSINE)
def _warmup_ends(config: Config) -> Iterator[Problem]:
    training = config["training"]
    name = "decay_steps" if training["schedule"] == "cosine" else "steps"
    warmup, steps = training["warmup_steps"], training.get(name)
    if steps is not None and warmup >= steps:
        text = f"{warmup} is not less than training.{name} ({steps})"
        yield problem("training.warmup_steps", text)


@check(*COSINE)
def _cosine_has_steps(config: Config) -> Iterator[Problem]:
    training = config["training"]
    if training["schedule"] == "cosine":
        steps, length = training["steps"], training.get("decay_steps")
        if length is None:
            text = "missing; schedule: cosine needs the steps of the whole training"
            yield problem("training.decay_steps", text)
        elif length < steps:
            text = f"{length} is less than training.steps ({steps})"
            yield problem("training.decay_steps", text)


@check("training.min_learning_rate", "training.learning_rate")
def _floor_below_peak(config: Config) -> Iterator[Problem]:
    training = config["training"]
    floor, peak = training["min_learning_rate"], training["learning_rate"]
    if floor > peak:
        text = f"{floor} is more than training.learning_rate ({peak})"
        yield problem("training.min_learning_rate", text)


@check("heads.length", "corpus.seq_len")
def _sequence_fits(config: Config) -> Iterator[Problem]:
    length, most = config["heads"]["length"], config["corpus"]["seq_len"]
    if length > most:
        yield problem("heads.length", f"{length} is more than corpus.seq_len ({most})")


@check("heads.max_period", "heads.length")
def _both_copies_fit(config: Config) -> Iterator[Problem]:
    period, length = config["heads"]["max_period"], config["heads"]["length"]
    if 2 * period > length:
        text = f"2 * {period} tokens are more than heads.length ({length})"
        yield problem("heads.max_period", text)


@check("heads.min_period", "heads.max_period")
def _periods_are_a_range(config: Config) -> Iterator[Problem]:
    least, most = config["heads"]["min_period"], config["heads"]["max_period"]
    if least > most:
        text = f"{least} is more than heads.max_period ({most})"
        yield problem("heads.min_period", text)


@check("evaluation.early_tokens", "evaluation.late_tokens", "corpus.seq_len")
def _early_and_late_fit(config: Config) -> Iterator[Problem]:
    length, evaluation = config["corpus"]["seq_len"], config["evaluation"]
    early, late = evaluation["early_tokens"], evaluation["late_tokens"]
    if early + late > length:
        text = (
            f"{late} and early_tokens ({early}) are more than corpus.seq_len ({length})"
        )
        yield problem("evaluation.late_tokens", text)


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


@check("checkpoints", "model.vocab_size")
def _embedding_is_known(config: Config) -> Iterator[Problem]:
    if config["checkpoints"] and "vocab_size" not in config["model"]:
        text = "missing; give the rows of the checkpoint's embedding (Pythia: 50304)"
        yield problem("model.vocab_size", text)


@check("checkpoints")
def _start_has_no_past(config: Config) -> Iterator[Problem]:
    start = config["checkpoints"].get("start", "")
    if re.fullmatch(r"step0*[1-9]\d*", start):
        text = (
            f"{start} has a past: its optimizer state, which nobody publishes; start "
            "from step0"
        )
        yield problem("checkpoints.start", text)


WINDOW = ("window.start", "window.end", "training.steps")


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
