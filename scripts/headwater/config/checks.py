"""What a schema cannot say: keys of the config that must fit each other.

Each check is one small function. It names the keys that it reads, and is left out when
one of them is already known to be wrong.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headwater.checkpoints.schedule import saved_steps
from headwater.config.problems import Key, Problem, touches, unknown_name
from headwater.corpus.places import has_rows

# The names of the probes, here as well as in `headwater.probes`: that package needs
# torch, which no config check may import.
PROBES = ("induction", "prefix_matching", "previous_token", "copying", "dataset")

BASELINE = "baseline"

Config = dict[str, Any]
Check = Callable[[Config], Iterator[Problem]]
EntryCheck = Callable[[Config, Key, dict[str, Any]], Iterator[Problem]]

CHECKS: list[tuple[list[Key], Check]] = []
ENTRY_CHECKS: list[tuple[str, list[Key], EntryCheck]] = []


def check_problems(config: Config, broken: Iterable[Key]) -> list[Problem]:
    """Everything that does not fit.

    Args:
        config: a config with its defaults; keys named in `broken` may hold anything.
        broken: keys already known to be wrong.
    """
    broken = set(broken)
    problems: list[Problem] = []
    for reads, check in CHECKS:
        if not any(touches(broken, key) for key in reads):
            problems += check(config)
    for section, reads, entry_check in ENTRY_CHECKS:
        if any(touches(broken, key) for key in reads):
            continue
        for name, entry in _names(config, section).items():
            if not touches(broken, (section, name)):
                problems += entry_check(config, (section, name), entry)
    return problems


def _check(*reads: str) -> Callable[[Check], Check]:
    """Register a check of the config that reads these keys."""

    def register(check: Check) -> Check:
        CHECKS.append(([tuple(key.split(".")) for key in reads], check))
        return check

    return register


def _entry_check(section: str, *reads: str) -> Callable[[EntryCheck], EntryCheck]:
    """Register a check of each target or arm that also reads these keys."""

    def register(check: EntryCheck) -> EntryCheck:
        keys: list[Key] = [tuple(key.split(".")) for key in reads]
        ENTRY_CHECKS.append((section, keys, check))
        return check

    return register


def _names(config: Config, section: str) -> dict[str, Any]:
    # The names count even when some of the entries are wrong.
    entries = config.get(section)
    return entries if isinstance(entries, dict) else {}


def _problem(key: str, text: str) -> Problem:
    return Problem(tuple(key.split(".")), text)


@_check("corpus.records", "corpus.seq_len")
def _records_fit(config: Config) -> Iterator[Problem]:
    records, row = config["corpus"]["records"], config["corpus"]["seq_len"] + 1
    shortest, longest = records["min_length"], records["max_length"]
    if records["fraction"] == 0:
        return
    if shortest > longest:
        text = f"{shortest} is more than max_length ({longest})"
        yield _problem("corpus.records.min_length", text)
    if 2 * longest > row:
        text = f"2 * {longest} tokens do not fit in a row of {row} (corpus.seq_len + 1)"
        yield _problem("corpus.records.max_length", text)


@_check("corpus")
def _rows_stay_as_they_are(config: Config) -> Iterator[Problem]:
    corpus = config["corpus"]
    if not has_rows(corpus):
        if "shards" in corpus["held_out"]:
            text = "only for sources of token ids; text is held out by `fraction`"
            yield _problem("corpus.held_out.shards", text)
        return
    if corpus["records"]["fraction"] > 0:
        text = "must be 0: a source of token ids is trained on as it is"
        yield _problem("corpus.records.fraction", text)
    if "name" not in corpus["tokenizer"]:
        text = (
            "a source of token ids needs the tokenizer that made them; give `name`, "
            "its folder or its name on the hub"
        )
        yield _problem("corpus.tokenizer", text)


@_check("corpus.row_shards", "training.steps", "training.batch_size")
def _row_shards_have_rows(config: Config) -> Iterator[Problem]:
    training, shards = config["training"], config["corpus"]["row_shards"]
    rows = training["steps"] * training["batch_size"]
    if shards > rows:
        text = f"{shards} shards for the {rows} rows of the training"
        yield _problem("corpus.row_shards", text)


@_check("model.hidden_size", "model.num_attention_heads")
def _heads_divide_width(config: Config) -> Iterator[Problem]:
    width, heads = _width_and_heads(config)
    if width % heads:
        text = f"{width} is no multiple of num_attention_heads ({heads})"
        yield _problem("model.hidden_size", text)


@_check("model.hidden_size", "model.num_attention_heads", "model.rotary_pct")
def _rotary_turns_pairs(config: Config) -> Iterator[Problem]:
    width, heads = _width_and_heads(config)
    share = config["model"]["rotary_pct"]
    turned = int(width // heads * share)
    if width % heads == 0 and (turned == 0 or turned % 2):
        text = (
            f"{share} of the {width // heads} dimensions of a head is {turned}; "
            "it must be even and not 0"
        )
        yield _problem("model.rotary_pct", text)


def _width_and_heads(config: Config) -> tuple[int, int]:
    return config["model"]["hidden_size"], config["model"]["num_attention_heads"]


@_check("corpus.tokenizer", "model.vocab_size")
def _vocabulary_fits(config: Config) -> Iterator[Problem]:
    tokens = config["corpus"]["tokenizer"].get("vocab_size", 0)
    size = config["model"].get("vocab_size", tokens)
    if tokens > size:
        text = f"{size} is less than corpus.tokenizer.vocab_size ({tokens})"
        yield _problem("model.vocab_size", text)


COSINE = ("training.schedule", "training.decay_steps", "training.steps")


@_check("training.warmup_steps", *COSINE)
def _warmup_ends(config: Config) -> Iterator[Problem]:
    training = config["training"]
    name = "decay_steps" if training["schedule"] == "cosine" else "steps"
    warmup, steps = training["warmup_steps"], training.get(name)
    if steps is not None and warmup >= steps:
        text = f"{warmup} is not less than training.{name} ({steps})"
        yield _problem("training.warmup_steps", text)


@_check(*COSINE)
def _cosine_has_steps(config: Config) -> Iterator[Problem]:
    training = config["training"]
    if training["schedule"] == "cosine":
        steps, length = training["steps"], training.get("decay_steps")
        if length is None:
            text = "missing; schedule: cosine needs the steps of the whole training"
            yield _problem("training.decay_steps", text)
        elif length < steps:
            text = f"{length} is less than training.steps ({steps})"
            yield _problem("training.decay_steps", text)


@_check("training.min_learning_rate", "training.learning_rate")
def _floor_below_peak(config: Config) -> Iterator[Problem]:
    training = config["training"]
    floor, peak = training["min_learning_rate"], training["learning_rate"]
    if floor > peak:
        text = f"{floor} is more than training.learning_rate ({peak})"
        yield _problem("training.min_learning_rate", text)


@_check("heads.half_length", "corpus.seq_len")
def _repeated_sequence_fits(config: Config) -> Iterator[Problem]:
    half, length = config["heads"]["half_length"], config["corpus"]["seq_len"]
    if 2 * half > length:
        text = f"2 * {half} tokens are more than corpus.seq_len ({length})"
        yield _problem("heads.half_length", text)


@_check("evaluation.early_tokens", "evaluation.late_tokens", "corpus.seq_len")
def _early_and_late_fit(config: Config) -> Iterator[Problem]:
    length, evaluation = config["corpus"]["seq_len"], config["evaluation"]
    early, late = evaluation["early_tokens"], evaluation["late_tokens"]
    if early + late > length:
        text = (
            f"{late} and early_tokens ({early}) are more than corpus.seq_len ({length})"
        )
        yield _problem("evaluation.late_tokens", text)


@_check("window.checkpoints", "window.score_at")
def _the_end_is_one_checkpoint(config: Config) -> Iterator[Problem]:
    window = config["window"]
    if window["score_at"] == "end" and window["checkpoints"] > 1:
        text = f"{window['checkpoints']} go with score_at: start; end is one"
        yield _problem("window.checkpoints", text)


@_check("window.target")
def _window_target_exists(config: Config) -> Iterator[Problem]:
    yield from _target_problem(config, ("window",), config["window"])


@_check("window.start", "window.end", "training.steps")
def _window_has_steps(config: Config) -> Iterator[Problem]:
    start, end = config["window"]["start"], config["window"]["end"]
    last = config["training"]["steps"]
    if end != "auto" and end > last:
        text = f"{end} is after the last step, training.steps ({last})"
        yield _problem("window.end", text)
    limit, name = (last, "training.steps") if end == "auto" else (end, "window.end")
    if start != "auto" and start >= limit:
        yield _problem("window.start", f"{start} is not before {name} ({limit})")


@_check(
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
        yield _problem(f"window.{name}", text)


@_check("checkpoints", "model.vocab_size")
def _embedding_is_known(config: Config) -> Iterator[Problem]:
    if config["checkpoints"] and "vocab_size" not in config["model"]:
        text = "missing; give the rows of the checkpoint's embedding (Pythia: 50304)"
        yield _problem("model.vocab_size", text)


@_check("checkpoints")
def _start_has_no_past(config: Config) -> Iterator[Problem]:
    start = config["checkpoints"].get("start", "")
    if re.fullmatch(r"step0*[1-9]\d*", start):
        text = (
            f"{start} has a past: its optimizer state, which nobody publishes; start "
            "from step0"
        )
        yield _problem("checkpoints.start", text)


WINDOW = ("window.start", "window.end", "training.steps")


@_check("retraining.checkpoint_every", "training.checkpoint_every")
def _arms_meet_baseline(config: Config) -> Iterator[Problem]:
    every = config["retraining"]["checkpoint_every"]
    baseline = config["training"]["checkpoint_every"]
    if every % baseline:
        text = f"{every} is no multiple of training.checkpoint_every ({baseline})"
        yield _problem("retraining.checkpoint_every", text)


@_check("retraining.checkpoint_every", *WINDOW)
def _arms_have_checkpoints(config: Config) -> Iterator[Problem]:
    every, steps = config["retraining"]["checkpoint_every"], _window_steps(config)
    if 0 < steps < every:
        text = f"{every} is more than the {steps} steps that the window can have"
        yield _problem("retraining.checkpoint_every", text)


@_check("curvature.rows", "training.batch_size", *WINDOW)
def _curvature_has_rows(config: Config) -> Iterator[Problem]:
    yield from _window_rows_problem(config, "curvature", "rows")


@_check("gradients.shards", "training.batch_size", *WINDOW)
def _gradient_shards_have_rows(config: Config) -> Iterator[Problem]:
    yield from _window_rows_problem(config, "gradients", "shards")


def _window_rows_problem(config: Config, section: str, key: str) -> Iterator[Problem]:
    wanted = config[section][key]
    rows = _window_steps(config) * config["training"]["batch_size"]
    if 0 < rows < wanted:
        text = f"{wanted} is more than the {rows} rows that the window can have"
        yield _problem(f"{section}.{key}", text)


def _window_steps(config: Config) -> int:
    # The longest the window can be, where an end of it is still to be found.
    start, end = config["window"]["start"], config["window"]["end"]
    first = 0 if start == "auto" else start
    last = config["training"]["steps"] if end == "auto" else end
    return int(last - first)


@_entry_check("targets")
def _probe_exists(_: Config, key: Key, target: dict[str, Any]) -> Iterator[Problem]:
    if target["probe"] not in PROBES:
        text = unknown_name("probe", target["probe"], PROBES)
        yield Problem((*key, "probe"), text)


@_entry_check("targets", "window.target")
def _dataset_is_complete(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    if target["probe"] != "dataset":
        if "data" in target:
            text = "only the probe dataset has data; remove it, or set probe: dataset"
            yield Problem((*key, "data"), text)
        return
    if "data" not in target:
        yield Problem((*key, "data"), "missing; the probe dataset needs a file of rows")
    if target["head"] == "auto":
        text = "auto has no score to choose by for the probe dataset; name a head"
        yield Problem((*key, "head"), text)
    if config["window"]["target"] == key[-1]:
        text = f"{key[-1]}: the probe dataset has no curve to find a window in"
        yield _problem("window.target", text)


@_check("gradients.heads", "model.num_hidden_layers", "model.num_attention_heads")
def _stored_heads_in_model(config: Config) -> Iterator[Problem]:
    labels = config["gradients"]["heads"]
    for label in labels if isinstance(labels, list) else []:
        yield from _head_problem(config, ("gradients", "heads"), label)


@_entry_check("targets", "gradients.heads", "influence.method")
def _target_is_stored(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    stored = config["gradients"]["heads"]
    if config["influence"]["method"] == "exact" or not isinstance(stored, list):
        return
    if target["head"] == "auto":
        text = "auto is known only later; name a head, or set gradients.heads: targets"
        yield Problem((*key, "head"), text)
    elif target["head"] not in stored:
        text = f"{target['head']} is not in gradients.heads ({', '.join(stored)})"
        yield Problem((*key, "head"), text)


@_check("gradients.coordinates", "gradients.heads")
def _few_coordinates_need_probes(config: Config) -> Iterator[Problem]:
    settings = config["gradients"]
    if settings["coordinates"] != "all" and settings["heads"] != "targets":
        text = (
            f"{settings['coordinates']} are chosen by the targets' probes, so only "
            "gradients.heads: targets can be stored; write all"
        )
        yield _problem("gradients.coordinates", text)


@_entry_check("targets", "model.num_hidden_layers", "model.num_attention_heads")
def _head_in_model(
    config: Config, key: Key, target: dict[str, Any]
) -> Iterator[Problem]:
    yield from _head_problem(config, (*key, "head"), target["head"])


def _head_problem(config: Config, key: Key, label: str) -> Iterator[Problem]:
    place = re.fullmatch(r"L(\d+)H(\d+)", label)
    if not place:
        return
    layers = config["model"]["num_hidden_layers"]
    heads = config["model"]["num_attention_heads"]
    if int(place[1]) >= layers:
        text = f"{label}: the model has layers 0..{layers - 1}"
        yield Problem(key, text)
    elif int(place[2]) >= heads:
        text = f"{label}: the model has heads 0..{heads - 1} in each layer"
        yield Problem(key, text)


@_entry_check("arms")
def _arm_name_free(_: Config, key: Key, __: dict[str, Any]) -> Iterator[Problem]:
    if key[-1] == BASELINE:
        yield Problem(key, "the name is reserved for the run without intervention")


@_entry_check("arms")
def _arm_target_exists(
    config: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    if "target" in arm:
        yield from _target_problem(config, key, arm)


@_entry_check("arms")
def _inserted_rows_have_room(
    _: Config, key: Key, arm: dict[str, Any]
) -> Iterator[Problem]:
    if arm["action"] == "insert" and arm["fraction"] > 0.5:
        text = (
            f"{arm['fraction']} is more than 0.5; insert puts each copy in place of "
            "another row"
        )
        yield Problem((*key, "fraction"), text)


def _target_problem(
    config: Config, key: Key, section: dict[str, Any]
) -> Iterator[Problem]:
    targets = _names(config, "targets")
    if targets and section["target"] not in targets:
        text = unknown_name("target", section["target"], targets)
        yield Problem((*key, "target"), text)
