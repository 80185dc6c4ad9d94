"""What a schema cannot say: keys of the config that must fit each other.

Each check is one small function. The window has its own in `window_checks`, targets and
arms in `target_checks`.
"""

import re
from collections.abc import Iterator

from headwater.checkpoints.revisions import revision_steps
from headwater.config.registry import Config, check, problem
from headwater.config.schema import fill_defaults
from headwater.corpus.sources import find, gives_rows
from headwater.models import ARCHITECTURES
from headwater.models.sections import geometry_of, kind_of
from headwater.problems import Problem
from headwater.steps import training_rows


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


@check("model")
def _key_is_the_architectures(config: Config) -> Iterator[Problem]:
    """Keys that only others have are wrong, but at the default that all are given."""
    section, kind = config["model"], kind_of(config["model"])
    defaults = fill_defaults({"model": {}})["model"]
    others = {key for other in ARCHITECTURES.values() for key in other.keys}
    for key in sorted(others - {*kind.keys}):
        if key in section and section[key] != defaults.get(key):
            text = f"a {kind.label} model has none; remove this key"
            yield problem(f"model.{key}", text)


@check("model")
def _heads_divide_width(config: Config) -> Iterator[Problem]:
    section = config["model"]
    width, heads = section["hidden_size"], section["num_attention_heads"]
    groups = section.get("num_key_value_heads", heads)
    if width % heads:
        text = f"{width} is no multiple of num_attention_heads ({heads})"
        yield problem("model.hidden_size", text)
    if heads % groups:
        text = f"{heads} heads cannot share {groups}; take a divisor of {heads}"
        yield problem("model.num_key_value_heads", text)


@check("model")
def _rotary_turns_pairs(config: Config) -> Iterator[Problem]:
    section = config["model"]
    keys, d_head = kind_of(section).keys, geometry_of(section).d_head
    if "rotary_emb_base" not in keys:
        return
    share = section["rotary_pct"] if "rotary_pct" in keys else 1.0
    turned = int(d_head * share)
    if section["hidden_size"] % section["num_attention_heads"] == 0 and (
        turned == 0 or turned % 2
    ):
        text = (
            f"{share} of the {d_head} dimensions of a head is {turned}; "
            "it must be even and not 0"
        )
        key = "rotary_pct" if "rotary_pct" in keys else "hidden_size"
        yield problem(f"model.{key}", text)


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


@check("checkpoints", "model.vocab_size")
def _embedding_is_known(config: Config) -> Iterator[Problem]:
    if config["checkpoints"] and "vocab_size" not in config["model"]:
        text = "missing; give the rows of the checkpoint's embedding (Pythia: 50304)"
        yield problem("model.vocab_size", text)


@check("checkpoints")
def _revisions_are_of_steps(config: Config) -> Iterator[Problem]:
    names: dict[int, str] = {}
    for name, step in revision_steps(config["checkpoints"]).items():
        if (other := names.setdefault(step, name)) != name:
            text = f"{other} and {name} are both of step {step}; leave one out"
            yield problem("checkpoints.revisions", text)


@check("checkpoints")
def _start_has_no_past(config: Config) -> Iterator[Problem]:
    start = config["checkpoints"].get("start", "")
    if re.fullmatch(r"step0*[1-9]\d*", start):
        text = (
            f"{start} has a past: its optimizer state, which nobody publishes; start "
            "from step0"
        )
        yield problem("checkpoints.start", text)
