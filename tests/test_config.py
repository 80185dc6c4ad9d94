"""The config: shipped files, defaults, and the words of every message."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.checkpoints.revisions import source_names
from headwater.checkpoints.schedule import checkpoint_steps, saved_steps
from headwater.config import PROBES, ConfigError, load_config
from headwater.config.reading import merged, read_config
from headwater.config.schema import load_schema
from headwater.corpus.sources.pile import SOURCE as PILE
from headwater.errors import HeadwaterError
from headwater.evaluation.verdicts import controls_of
from headwater.interventions.arms import ACTIONS
from headwater.interventions.kinds import KINDS
from headwater.interventions.runs import arm_runs

ROOT = Path(__file__).parents[1]
REMOVE = type("Remove", (), {"__repr__": lambda _: "REMOVE"})()

SMALLEST = """
experiment: tiny
corpus: {shards: [text], seq_len: 64, tokenizer: {vocab_size: 300}}
model:
  hidden_size: 32
  num_hidden_layers: 2
  num_attention_heads: 4
  intermediate_size: 64
training: {steps: 1000, batch_size: 8, learning_rate: 0.003}
targets: {induction: {probe: induction}}
window: {target: induction}
arms:
  top: {action: remove, rows: top, target: induction, fraction: 0.1}
  random: {action: remove, rows: random, fraction: 0.1, draws: 2}
"""

TRAINING = yaml.safe_load(SMALLEST)["training"]
COSINE = {**TRAINING, "schedule": "cosine", "decay_steps": 3000}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a corpus and a probe's rows where configs expect."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    for folder in ("text", "resources/corpus", "resources/natural"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jsonl.zst").touch()
    return tmp_path


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The smallest config with dotted keys set, or removed by `REMOVE`."""
    config: dict[str, Any] = yaml.safe_load(SMALLEST)
    for key, value in changes:
        *parents, last = key.split(".")
        section = config
        for parent in parents:
            section = section.setdefault(parent, {})
        if value is REMOVE:
            del section[last]
        else:
            section[last] = value
    return config


def problems(config: dict[str, Any], base: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(config, "c.yaml", base)
    return str(caught.value).split("\n")


# --- what is right ------------------------------------------------------------


PYTHIA = ["pythia-14m", "pythia-31m", "pythia-70m", "pythia-160m"]


LAPTOP = ["config", "planted", "examination", "bank", "smoke"]


@pytest.mark.parametrize("name", [*LAPTOP, *PYTHIA])
def test_shipped_config_is_valid(name: str, base: Path) -> None:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    config = load_config(raw, name, base)
    assert set(config) == set(load_schema()["properties"])


def test_more_controls_go_with_the_laptop_experiment(base: Path) -> None:
    first, more = (
        read_config(ROOT / f"config/{n}.yaml") for n in ("config", "controls")
    )
    config = load_config(merged([first, more]), "config.yaml", base)
    assert list(config["arms"]) == [*first["arms"], *more["arms"]]
    for action in ("remove", "insert"):
        top, both = f"{action}_top", {**first["arms"], **more["arms"]}
        own = {name for name in both if name.startswith(action)}
        assert {*controls_of(top, config["arms"])} == own - {top}


def test_with_rows_ranked_by_the_metagradient_the_papers_score_is_a_control(
    base: Path,
) -> None:
    first, more = (
        read_config(ROOT / f"config/{n}.yaml") for n in ("config", "metagradient")
    )
    arms = load_config(merged([first, more]), "config.yaml", base)["arms"]
    for action in ("remove", "insert"):
        own = {name for name in arms if name.startswith(action)}
        assert {*controls_of(f"{action}_top", arms)} == own - {f"{action}_top"}
        assert f"{action}_mda" in own


PAPER = {  # rows of the window; rows removed, rows added
    "pythia-14m": (1_024_000, 100_000, 100_000),
    "pythia-31m": (1_228_800, 120_000, 120_000),
    "pythia-70m": (1_024_000, 100_000, 100_000),
    "pythia-160m": (819_200, 80_000, 100_000),
}


@pytest.mark.parametrize("name", PYTHIA)
def test_ready_experiments_have_the_papers_counts(name: str, base: Path) -> None:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    config = load_config(raw, name, base)
    window, training = config["window"], config["training"]
    rows, removed, added = PAPER[name]
    assert (window["end"] - window["start"]) * training["batch_size"] == rows
    for arm in config["arms"].values():
        wanted = added if arm["action"] == "insert" else removed
        assert arm["fraction"] * rows == wanted
    peak = 6e-4 if name == "pythia-160m" else 1e-3
    assert training["learning_rate"] == peak
    assert training["min_learning_rate"] == pytest.approx(peak / 10)
    model = config["model"]
    assert model["intermediate_size"] == 4 * model["hidden_size"]


def test_laptop_config_states_every_key(base: Path) -> None:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config = load_config(raw, "config.yaml", base)
    raw["training"]["precision"] = config["training"]["precision"]  # what auto means
    for section in set(raw) - {"targets", "arms"}:
        assert config[section] == raw[section]


def test_defaults_are_filled(base: Path) -> None:
    config = load_config(changed(), "c.yaml", base)
    assert config["seed"] == 0
    assert config["corpus"]["held_out"] == {"fraction": 0.06, "rows_per_domain": 128}
    assert config["corpus"]["records"]["fraction"] == 0.0
    assert config["corpus"]["tokenizer"] == {"vocab_size": 300, "split_digits": False}
    assert config["training"]["betas"] == [0.9, 0.95]
    assert config["targets"] == {"induction": {"probe": "induction", "head": "auto"}}
    assert config["window"] == {
        "target": "induction",
        "start": "auto",
        "end": "auto",
        "checkpoints": 1,
        "score_at": "start",
    }
    assert config["curvature"] == {"hessian": "ekfac", "rows": 2000, "batch_size": 64}
    assert config["gradients"] == {
        "mode": "qkvo",
        "units": "targets",
        "bits": 4,
        "coordinates": "all",
        "precision": "exact",
        "shards": 1,
        "batch_size": 64,
        "probe_sequences": 200,
    }
    assert "data" not in config["targets"]["induction"]
    assert config["influence"] == {
        "method": "projected",
        "damping": 0.1,
        "fidelity_rows": 2048,
    }
    assert config["arms"]["top"]["draws"] == 1
    assert "target" not in config["arms"]["random"]
    assert "vocab_size" not in config["model"]


def test_named_tokenizer_gets_a_revision(base: Path) -> None:
    raw = changed(("corpus.tokenizer", {"name": "gpt2"}))
    config = load_config(raw, "c.yaml", base)
    assert config["corpus"]["tokenizer"] == {"name": "gpt2", "revision": "main"}


def test_numbers_get_the_type_of_the_schema(base: Path) -> None:
    raw = changed(("training.steps", 1000.0), ("training.max_grad_norm", 1))
    training = load_config(raw, "c.yaml", base)["training"]
    assert (training["steps"], type(training["steps"])) == (1000, int)
    assert (training["max_grad_norm"], type(training["max_grad_norm"])) == (1.0, float)


def test_loading_changes_neither_input_nor_a_loaded_config(base: Path) -> None:
    raw = changed()
    before = copy.deepcopy(raw)
    config = load_config(raw, "c.yaml", base)
    config["training"]["betas"].append(0.5)
    assert raw == before
    again = load_config(raw, "c.yaml", base)
    assert again["training"]["betas"] == [0.9, 0.95]
    assert load_config(again, "c.yaml", base) == again


def test_arm_runs_follow_the_config(base: Path) -> None:
    config = load_config(changed(), "c.yaml", base)
    assert arm_runs(config) == [("top", 0), ("random", 0), ("random", 1)]


def test_checkpoint_steps() -> None:
    assert checkpoint_steps(48, 8) == [0, 1, 2, 4, 8, 16, 24, 32, 40, 48]
    assert checkpoint_steps(45, 20) == [0, 1, 2, 4, 8, 16, 20, 32, 40, 45]
    assert checkpoint_steps(3000, 1000)[-5:] == [256, 512, 1000, 2000, 3000]


# --- what is wrong, word for word ---------------------------------------------

AN_ARM = (
    "expected at least one, such as remove_top: {action: remove, rows: top, target: "
    "<name of a target>, fraction: 0.1}"
)

A_FRACTION = "expected a number > 0 and < 1, or a list of such numbers, each once"

MISTAKES = [
    # keys
    (
        ("influence.dampingg", 1),
        'influence.dampingg: unknown key; did you mean "damping"?',
    ),
    (
        ("report.colour", 1),
        "report.colour: unknown key; keys here: rows",
    ),
    (
        ("trainning", {}),
        'trainning: unknown key; did you mean "training"?',
    ),
    (
        ("training.steps", REMOVE),
        "training.steps: missing; expected an integer >= 2 and <= 10000000",
    ),
    (("model", REMOVE), "model: missing; expected a section (keys and values)"),
    (
        ("arms.top.target", REMOVE),
        "arms.top.target: missing; expected the name of a target",
    ),
    (
        ("arms.random.action", REMOVE),
        "arms.random.action: missing; expected remove or insert or repeat or generate "
        "or swap or mask or reweight",
    ),
    (
        ("arms.Remove-Top", {"action": "remove", "rows": "random", "fraction": 0.1}),
        'arms.Remove-Top: expected a name of lower-case letters, digits and "_", '
        "beginning with a letter",
    ),
    (
        ("corpus.tokenizer.revision", "main"),
        'corpus.tokenizer.revision: needs "name" beside it',
    ),
    # types
    (("training.steps", "many"), 'training.steps: expected an integer, found "many"'),
    (("training.steps", True), "training.steps: expected an integer, found true"),
    (("training.steps", 2.5), "training.steps: expected an integer, found 2.5"),
    (
        ("training.steps", "1e3"),
        'training.steps: expected an integer, found "1e3"; write 1000',
    ),
    (
        ("training.learning_rate", "3e-3"),
        'training.learning_rate: expected a number, found "3e-3"; write 0.003',
    ),
    (
        ("training.learning_rate", "1.5e4"),
        'training.learning_rate: expected a number, found "1.5e4"; write 15000.0',
    ),
    (
        ("training.learning_rate", "0.1"),
        'training.learning_rate: expected a number, found "0.1"; write 0.1',
    ),
    (
        ("training.eps", float("nan")),
        "training.eps: expected a number, found nan",
    ),
    (
        ("training", None),
        "training: expected a section (keys and values), found nothing",
    ),
    (
        ("window.target", 3),
        'window.target: expected a string, found 3; write "3"',
    ),
    (
        ("corpus.shards", "text"),
        "corpus.shards: expected a list of files, folders and addresses, "
        'found "text"; write [text]',
    ),
    (
        ("corpus.shards", []),
        "corpus.shards: expected a list of files, folders and addresses, "
        "found an empty list",
    ),
    (
        ("corpus.tokenizer", "gpt2"),
        'corpus.tokenizer: expected either "vocab_size" (train a tokenizer) or "name" '
        '(use one that exists), not both or none, found "gpt2"',
    ),
    (
        ("corpus.tokenizer.name", "gpt2"),
        'corpus.tokenizer: expected either "vocab_size" (train a tokenizer) or "name" '
        "(use one that exists), not both or none",
    ),
    (
        ("corpus.tokenizer", 300),
        'corpus.tokenizer: expected either "vocab_size" (train a tokenizer) or "name" '
        "(use one that exists), not both or none, found 300",
    ),
    (
        ("training.steps", 10**30),
        "training.steps: expected an integer >= 2 and <= 10000000, found 1" + 30 * "0",
    ),
    # values
    (
        ("arms.top.fraction", 1),
        f"arms.top.fraction: {A_FRACTION}, found 1",
    ),
    (
        ("corpus.tokenizer.vocab_size", 257),
        "corpus.tokenizer.vocab_size: expected an integer >= 258 and "
        "<= 10000000, found 257",
    ),
    (
        ("training.betas", [0.9]),
        "training.betas: expected a list of 2, found a list of 1",
    ),
    (
        ("training.betas", [0.9, 1.5]),
        "training.betas[1]: expected a number >= 0 and < 1, found 1.5",
    ),
    (
        ("corpus.on_bad_line", "skipp"),
        'corpus.on_bad_line: expected fail or skip, found "skipp"; '
        'did you mean "skip"?',
    ),
    (
        ("gradients.mode", True),
        "gradients.mode: expected qk or qkvo or qo, found true",
    ),
    (
        ("experiment", "my run"),
        'experiment: expected a name of letters, digits, "." "_" "-", beginning with a '
        'letter or digit, found "my run"',
    ),
    (
        ("targets.induction.head", "1.3"),
        'targets.induction.head: expected auto or a head such as L1H3, found "1.3"',
    ),
    (
        ("window.start", "early"),
        'window.start: expected auto or a training step, found "early"',
    ),
    (("window.start", -1), "window.start: expected auto or a training step, found -1"),
    (
        ("arms.random.target", "induction"),
        "arms.random.target: random rows have no target; remove this key",
    ),
    (
        ("arms.more", {"action": "remove", "rows": "matched", "fraction": 0.1}),
        "arms.more.target: missing; expected the name of a target",
    ),
    (
        ("arms.top.draws", 3),
        "arms.top.draws: expected 1, since the top rows are always the same, found 3",
    ),
    (
        ("arms.top.rows", "toop"),
        'arms.top.rows: no kind of rows "toop"; did you mean "top"?',
    ),
    (
        ("arms.random.rows", "grokking"),
        'arms.random.rows: no kind of rows "grokking"; known: ' + ", ".join(KINDS),
    ),
    (
        ("arms.random.rows", 3),
        'arms.random.rows: expected a string, found 3; write "3"',
    ),
    (("targets", {}), "targets: expected at least one target, found an empty section"),
    (("arms", {}), f"arms: {AN_ARM}, found an empty section"),
    (("arms", REMOVE), f"arms: missing; {AN_ARM}"),
    # keys that must fit each other
    (
        ("targets.induction.head", "L5H0"),
        "targets.induction.head: L5H0: the model has layers 0..1",
    ),
    (
        ("targets.induction.head", "L1H4"),
        "targets.induction.head: L1H4: the model has heads 0..3 in each layer",
    ),
    (
        ("targets.induction.probe", "inducton"),
        'targets.induction.probe: no probe "inducton"; did you mean "induction"?',
    ),
    (
        ("targets.induction.probe", "grokking"),
        'targets.induction.probe: no probe "grokking"; known: ' + ", ".join(PROBES),
    ),
    (
        ("targets.induction.data", "rows.jsonl"),
        "targets.induction.data: only the probes activation, dataset, direct_logits "
        "have data; remove it, or set one of them",
    ),
    (
        ("targets.mine", {"probe": "dataset", "head": "L1H3"}),
        "targets.mine.data: missing; the probe dataset needs a file of rows",
    ),
    (
        ("targets.mine", {"probe": "dataset", "head": "L1H3", "data": "gone.jsonl"}),
        "targets.mine.data: gone.jsonl: no such file; check the path",
    ),
    (
        ("targets.mine", {"probe": "dataset", "head": "L1H3", "data": "text"}),
        "targets.mine.data: text: a folder, not a file; give the file's path",
    ),
    (
        ("targets.mine", {"probe": "dataset", "data": "rows.jsonl"}),
        "targets.mine.head: auto has no score to choose by for the probe dataset; "
        "name a head or a unit",
    ),
    (
        ("gradients", {"units": ["L*H*"], "coordinates": 256}),
        "gradients.coordinates: 256 are chosen by the targets' probes, so only "
        "gradients.units: targets can be stored; write all",
    ),
    (
        ("gradients.units", "all"),
        "gradients.units: expected targets or a list of units such as L1H3, "
        'found "all"',
    ),
    (
        ("gradients.units", []),
        "gradients.units: expected targets or a list of units such as L1H3, "
        "found an empty list",
    ),
    (
        ("gradients.units", ["1.3"]),
        'gradients.units[0]: expected a unit such as L1H3, found "1.3"',
    ),
    (
        ("gradients.coordinates", 0),
        "gradients.coordinates: expected all or a number of coordinates, found 0",
    ),
    (("gradients.bits", 3), "gradients.bits: expected 1 or 2 or 4 or 8, found 3"),
    (
        ("gradients.precision", "fp16"),
        'gradients.precision: expected exact or bf16, found "fp16"; '
        'did you mean "bf16"?',
    ),
    (
        ("curvature.hessian", "kfac"),
        "curvature.hessian: expected ekfac or diagonal or identity, "
        'found "kfac"; did you mean "ekfac"?',
    ),
    (
        ("window.checkpoints", 0),
        "window.checkpoints: expected an integer >= 1 and <= 1000, found 0",
    ),
    (
        ("window", {"target": "induction", "score_at": "end", "checkpoints": 2}),
        "window.checkpoints: 2 go with score_at: start; end is one",
    ),
    (
        ("window.score_at", "middle"),
        'window.score_at: expected start or end, found "middle"',
    ),
    (
        ("model.hidden_size", 30),
        "model.hidden_size: 30 is no multiple of num_attention_heads (4)",
    ),
    (
        ("model.rotary_pct", 0.1),
        "model.rotary_pct: 0.1 of the 8 dimensions of a head is 0; "
        "it must be even and not 0",
    ),
    (
        ("model.vocab_size", 280),
        "model.vocab_size: 280 is less than corpus.tokenizer.vocab_size (300)",
    ),
    (
        ("checkpoints", {"repo": "EleutherAI/pythia-14m"}),
        'checkpoints: expected either "repo" or "folder", and either "start" (train on '
        'from it) or "revisions" (take them as they are)',
    ),
    (
        ("checkpoints", {"repo": "pythia-14m", "start": "step0"}),
        'checkpoints.repo: expected <owner>/<name>, found "pythia-14m"',
    ),
    (
        ("checkpoints", {"repo": "a/b", "revision": "step0"}),
        'checkpoints.revision: unknown key; did you mean "revisions"?',
    ),
    (
        ("checkpoints", {"repo": "a/b", "start": "step0"}),
        "model.vocab_size: missing; give the rows of the checkpoint's embedding "
        "(Pythia: 50304)",
    ),
    (
        ("training.schedule", "cosine"),
        "training.decay_steps: missing; schedule: cosine needs the steps of the "
        "whole training",
    ),
    (
        ("training", {**TRAINING, "schedule": "cosine", "decay_steps": 999}),
        "training.decay_steps: 999 is less than training.steps (1000)",
    ),
    (
        ("training", {**COSINE, "warmup_steps": 3000}),
        "training.warmup_steps: 3000 is not less than training.decay_steps (3000)",
    ),
    (
        ("training.min_learning_rate", 0.004),
        "training.min_learning_rate: 0.004 is more than training.learning_rate (0.003)",
    ),
    (
        ("training.precision", "fp8"),
        'training.precision: expected auto or fp32 or bf16 or fp16, found "fp8"',
    ),
    (
        ("training.warmup_steps", 1000),
        "training.warmup_steps: 1000 is not less than training.steps (1000)",
    ),
    (
        ("corpus.records", {"fraction": 0.2, "min_length": 9, "max_length": 8}),
        "corpus.records.min_length: 9 is more than max_length (8)",
    ),
    (
        ("corpus.records", {"fraction": 0.2, "max_length": 33}),
        "corpus.records.max_length: 2 * 33 tokens do not fit in a row of 65 "
        "(corpus.seq_len + 1)",
    ),
    (
        ("corpus.row_shards", 8001),
        "corpus.row_shards: 8001 shards for the 8000 rows of the training",
    ),
    (
        ("heads", {"length": 65}),
        "heads.length: 65 is more than corpus.seq_len (64)",
    ),
    (
        ("heads", {"length": 64, "max_period": 33}),
        "heads.max_period: 2 * 33 tokens are more than heads.length (64)",
    ),
    (
        ("heads", {"min_period": 25, "max_period": 24}),
        "heads.min_period: 25 is more than heads.max_period (24)",
    ),
    (
        ("evaluation", {"early_tokens": 40, "late_tokens": 30}),
        "evaluation.late_tokens: 30 and early_tokens (40) are more than "
        "corpus.seq_len (64)",
    ),
    (
        ("window.target", "inductoin"),
        'window.target: no target "inductoin"; did you mean "induction"?',
    ),
    (
        ("arms.top.target", "copy"),
        'arms.top.target: no target "copy"; known: induction',
    ),
    (
        ("window.end", 1200),
        "window.end: 1200 is after the last step, training.steps (1000)",
    ),
    (
        ("window.start", 1000),
        "window.start: 1000 is not before training.steps (1000)",
    ),
    (
        ("window", {"target": "induction", "start": 600, "end": 400}),
        "window.start: 600 is not before window.end (400)",
    ),
    (
        ("window.start", 37),
        "window.start: step 37 has no checkpoint; the nearest are 32 and 50",
    ),
    (
        ("window", {"target": "induction", "start": 800, "end": 1000}),
        "curvature.rows: 2000 is more than the 1600 rows that the window can have",
    ),
    (
        ("gradients.shards", 8001),
        "gradients.shards: 8001 is more than the 8000 rows that the window can have",
    ),
    (
        ("retraining.checkpoint_every", 70),
        "retraining.checkpoint_every: 70 is no multiple of "
        "training.checkpoint_every (50); set it to a multiple of "
        "training.checkpoint_every, such as 50",
    ),
    (
        ("retraining.checkpoint_every", 1050),
        "retraining.checkpoint_every: 1050 is more than the 1000 steps that the window "
        "can have; set it to a multiple of training.checkpoint_every, such as 50",
    ),
    (  # both too large and no multiple: one line
        ("retraining.checkpoint_every", 1030),
        "retraining.checkpoint_every: 1030 is more than the 1000 steps that the window "
        "can have; set it to a multiple of training.checkpoint_every, such as 50",
    ),
    (
        ("arms.baseline", {"action": "remove", "rows": "random", "fraction": 0.1}),
        "arms.baseline: the name is reserved for the run without intervention",
    ),
    (
        ("arms.more", {"action": "insert", "rows": "random", "fraction": 0.6}),
        "arms.more.fraction: 0.6 is more than 0.5; insert puts each copy in place of "
        "another row",
    ),
    # sources
    (
        ("corpus.shards", ["text", "nowhere"]),
        'corpus.shards[1]: "nowhere": no such file or folder',
    ),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=lambda v: str(v)[:60])
def test_mistake_makes_exactly_one_line(
    change: tuple[str, Any], message: str, base: Path
) -> None:
    assert problems(changed(change), base) == [f"c.yaml: {message}"]


def test_all_problems_at_once(base: Path) -> None:
    raw = changed(
        ("seeed", 1),
        ("corpus.shards", ["nowhere"]),
        ("model.hidden_size", 33),
        ("training.stepps", 10),
        ("training.steps", REMOVE),
        ("targets.late", {"probe": "induction", "head": "L9H0"}),
        ("arms.top.fraction", "0.1"),
        ("arms.random.fraction", 7),
        ("arms.other", {"action": "remove", "rows": "top", "target": "lat"}),
        ("arms.domain", {"action": "remove", "rows": "domain", "target": "lat"}),
        ("arms.domain.fraction", 0.1),
    )
    assert problems(raw, base) == [
        'c.yaml: seeed: unknown key; did you mean "seed"?',
        'c.yaml: training.stepps: unknown key; did you mean "steps"?',
        f'c.yaml: arms.top.fraction: {A_FRACTION}, found "0.1"; write 0.1',
        f"c.yaml: arms.random.fraction: {A_FRACTION}, found 7",
        f"c.yaml: arms.other.fraction: missing; {A_FRACTION}",
        "c.yaml: model.hidden_size: 33 is no multiple of num_attention_heads (4)",
        "c.yaml: targets.late.head: L9H0: the model has layers 0..1",
        'c.yaml: arms.domain.target: no target "lat"; did you mean "late"?',
        'c.yaml: corpus.shards[0]: "nowhere": no such file or folder',
    ]


def test_keys_that_are_no_text(base: Path) -> None:
    raw = changed()
    raw["arms"][1] = raw["arms"].pop("top")
    assert problems(raw, base) == [
        'c.yaml: arms.1: expected a name of lower-case letters, digits and "_", '
        "beginning with a letter"
    ]


def test_long_values_are_cut(base: Path) -> None:
    [line] = problems(changed(("training.steps", "x" * 500)), base)
    assert len(line) < 120


# --- targets, and whose gradients are stored --------------------------------------

MINE = {"probe": "dataset", "head": "L1H3", "data": "rows.jsonl"}


def test_a_probe_of_ones_own_rows(base: Path) -> None:
    config = load_config(changed(("targets.mine", MINE)), "c.yaml", base)
    assert config["targets"]["mine"] == MINE


def test_a_window_cannot_follow_a_probe_of_ones_own_rows(base: Path) -> None:
    raw = changed(("targets.mine", MINE), ("window.target", "mine"))
    assert problems(raw, base) == [
        "c.yaml: window.target: mine: the probe dataset has no curve to find a window "
        "in"
    ]


STORES = [
    ("targets", "auto", []),
    (["L*H*"], "auto", []),
    (["L0H*", "L1H*"], "auto", []),
    (["L*H*"], "L0H1", []),
    (["L0H1", "L1H3"], "L1H3", []),
    (
        ["L0H0", "L0H1"],
        "L1H3",
        ["targets.induction.head: L1H3 is not in gradients.units (L0H0, L0H1)"],
    ),
    (
        ["L0H0", "L1H3"],
        "auto",
        [
            "targets.induction.head: auto is known only later; name a head, or set "
            "gradients.units: targets or [L*H*]"
        ],
    ),
    (
        ["L1H3", "L2H0"],
        "L1H3",
        ["gradients.units: L2H0: the model has layers 0..1"],
    ),
    (
        ["L1H4", "L1H3"],
        "L1H3",
        ["gradients.units: L1H4: the model has heads 0..3 in each layer"],
    ),
]


@pytest.mark.parametrize(("stored", "head", "messages"), STORES)
def test_every_targets_head_is_stored(
    stored: str | list[str], head: str, messages: list[str], base: Path
) -> None:
    raw = changed(("gradients.units", stored), ("targets.induction.head", head))
    if messages:
        assert problems(raw, base) == [f"c.yaml: {message}" for message in messages]
    else:
        load_config(raw, "c.yaml", base)


@pytest.mark.parametrize("head", ["auto", "L1H3"])
def test_exact_scores_need_no_stored_head(head: str, base: Path) -> None:
    raw = changed(
        ("gradients.units", ["L0H0"]),
        ("targets.induction.head", head),
        ("influence.method", "exact"),
    )
    load_config(raw, "c.yaml", base)


@pytest.mark.parametrize("units", [["L*H*"], ["L1H3"]])
def test_few_coordinates_are_those_of_the_targets(units: list[str], base: Path) -> None:
    head = ("targets.induction.head", "L1H3")
    few = ("gradients.coordinates", 64)
    raw = changed(head, few, ("gradients.units", units))
    assert problems(raw, base) == [
        "c.yaml: gradients.coordinates: 64 are chosen by the targets' probes, so only "
        "gradients.units: targets can be stored; write all"
    ]
    load_config(changed(head, few), "c.yaml", base)
    for count in ("all", 1):
        load_config(changed(("gradients.coordinates", count)), "c.yaml", base)


HUB = ("model.vocab_size", 50304), ("checkpoints.repo", "EleutherAI/pythia-14m")


def with_hub(*changes: tuple[str, Any]) -> dict[str, Any]:
    config = changed()
    config["checkpoints"] = {}
    for key, value in (*HUB, *changes):
        section, name = key.split(".")
        config[section][name] = value
    return config


def test_a_start_with_a_past_is_refused(base: Path) -> None:
    load_config(with_hub(("checkpoints.start", "step0")), "c.yaml", base)
    load_config(with_hub(("checkpoints.start", "main")), "c.yaml", base)
    assert problems(with_hub(("checkpoints.start", "step512")), base) == [
        "c.yaml: checkpoints.start: step512 has a past: its optimizer state, which "
        "nobody publishes; start from step0"
    ]


def test_arms_need_a_trained_baseline(base: Path) -> None:
    taken = ("checkpoints.revisions", ["step0", "step512"])
    assert problems(with_hub(taken), base) == [
        "c.yaml: arms: published revisions have no optimizer state to retrain from; "
        "remove this section, or train a baseline (checkpoints.start)"
    ]
    config = with_hub(taken)
    del config["arms"]
    load_config(config, "c.yaml", base)
    loaded = load_config(config, "c.yaml", base)
    assert arm_runs(loaded) == []
    assert saved_steps(loaded) == [0, 512]


def short(*changes: tuple[str, Any]) -> dict[str, Any]:
    """A window of 32 steps at most, fewer than the default intervals."""
    rows = [("curvature.rows", 8), ("training.warmup_steps", 1)]
    return changed(("training.steps", 32), *rows, *changes)


def test_both_intervals_are_told_where_the_window_is_short(base: Path) -> None:
    config = short()
    config.pop("retraining", None)
    assert problems(config, base) == [
        "c.yaml: retraining.checkpoint_every: 50 is more than the 32 steps that the "
        "window can have; set it and training.checkpoint_every (50) to at most 32"
    ]
    assert problems(short(("retraining.checkpoint_every", 8)), base) == [
        "c.yaml: retraining.checkpoint_every: 8 is no multiple of "
        "training.checkpoint_every (50); set it and training.checkpoint_every (50) to "
        "at most 32"
    ]
    config["training"]["checkpoint_every"] = 32
    config["retraining"] = {"checkpoint_every": 32}
    load_config(config, "c.yaml", base)


def test_without_arms_their_interval_does_not_matter(base: Path) -> None:
    config = short(("retraining.checkpoint_every", 70))
    config["model"]["vocab_size"] = 50304
    config["checkpoints"] = {
        "repo": "EleutherAI/pythia-14m",
        "revisions": ["step0", "step32"],
    }
    del config["arms"]
    load_config(config, "c.yaml", base)


def test_revisions_are_steps(base: Path) -> None:
    config = with_hub(("checkpoints.revisions", ["step0", "main"]))
    del config["arms"]
    assert problems(config, base) == [
        "c.yaml: checkpoints.revisions[1]: expected step<N>, such as step512, found "
        '"main"'
    ]


def test_revisions_of_other_names_have_their_steps(base: Path) -> None:
    named = {"main": 512, "later-tokens3B": 1000}
    config = with_hub(("checkpoints.revisions", named))
    config["window"] |= {"start": 512, "end": 1000}
    del config["arms"]
    found = load_config(config, "c.yaml", base)
    assert saved_steps(found) == [512, 1000]
    assert source_names(found["checkpoints"]) == {
        "step512": "main",
        "step1000": "later-tokens3B",
    }


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"a": 5, "b": 5}, "a and b are both of step 5; leave one out"),
        ({}, "expected a list of revisions, each once, or their steps by name"),
        ({"a": "5"}, 'expected an integer, found "5"; write 5'),
        ({"../a": 5}, "expected the name of a revision, such as main"),
    ],
)
def test_revisions_without_a_step_are_refused(base: Path, named, message) -> None:
    config = with_hub(("checkpoints.revisions", named))
    del config["arms"]
    assert message in problems(config, base)[0]


def test_a_window_starts_at_one_of_the_revisions(base: Path) -> None:
    config = with_hub(("checkpoints.revisions", ["step512", "step1000"]))
    del config["arms"]
    config["window"].update(start=512, end=900)
    load_config(config, "c.yaml", base)
    config["window"].update(start=600)
    assert problems(config, base) == [
        "c.yaml: window.start: step 600 has no checkpoint; the nearest are 512 and 1000"
    ]
    config["window"].update(start=2)
    assert problems(config, base) == [
        "c.yaml: window.start: step 2 has no checkpoint; the nearest are 512"
    ]


def test_a_found_window_may_reach_the_last_revision(base: Path) -> None:
    config = with_hub(("checkpoints.revisions", ["step0", "step1001"]))
    del config["arms"]
    assert problems(config, base) == [
        "c.yaml: checkpoints.revisions: step1001 is after training.steps (1000), up to "
        "which there are rows, but window.end: auto may find it; raise training.steps, "
        "or give window.end"
    ]
    config["window"].update(end=1000)
    load_config(config, "c.yaml", base)


DEDUPED = "hf://datasets/EleutherAI/pile-deduped-pythia-preshuffled"
STANDARD = "hf://datasets/EleutherAI/pile-standard-pythia-preshuffled@main"


def with_rows(model: str, path: str) -> dict[str, Any]:
    config = with_hub(("checkpoints.start", "step0"))
    config["checkpoints"]["repo"] = f"EleutherAI/{model}"
    del config["corpus"]["shards"]
    config["corpus"]["tokenizer"] = {"name": "EleutherAI/pythia-14m"}
    config["corpus"]["pythia"] = {"path": path}
    return config


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("pythia-14m", DEDUPED),
        ("pythia-31m", DEDUPED),
        ("pythia-70m-deduped", DEDUPED),
        ("pythia-70m", STANDARD),
        ("pythia-160m", STANDARD),
        ("pythia-160m-seed3", DEDUPED),  # neither is its: not for Headwater to say
    ],
)
def test_rows_that_are_the_models_own(base: Path, model: str, path: str) -> None:
    load_config(with_rows(model, path), "c.yaml", base)


@pytest.mark.parametrize(
    ("model", "path", "flavour"),
    [
        ("pythia-14m", STANDARD, "deduped"),
        ("pythia-31m", STANDARD, "deduped"),
        ("pythia-70m", DEDUPED, "standard"),
        ("pythia-160m-deduped", STANDARD, "deduped"),
    ],
)
def test_rows_that_another_model_saw(
    base: Path, model: str, path: str, flavour: str
) -> None:
    (problem,) = problems(with_rows(model, path), base)
    assert problem.startswith(
        f"c.yaml: corpus.pythia.path: EleutherAI/{model} was trained on other rows, "
        f"those of hf://datasets/EleutherAI/pile-{flavour}-pythia-preshuffled"
    )


def test_unplanted_records_need_not_fit(base: Path) -> None:
    load_config(changed(("corpus.records", {"max_length": 500})), "c.yaml", base)


def test_config_error_is_meant_for_people() -> None:
    assert issubclass(ConfigError, HeadwaterError)


# --- sources ------------------------------------------------------------------


def source_errors(shards: list[str], base: Path) -> list[str]:
    found = PILE.problems({"shards": shards}, ("corpus",), base)
    return [str(problem) for problem in found]


def test_sources_are_sorted_by_name_and_relative(tmp_path: Path) -> None:
    for name in ("b/02.jsonl.zst", "b/00.jsonl.zst", "b/._00.jsonl.zst", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "01.jsonl.zst").touch()
    far = tmp_path / "far.jsonl.zst"
    far.touch()
    shards = ["b/", "./01.jsonl.zst", str(far)]
    found = PILE.files({"shards": shards}, tmp_path)
    paths = ["b/00.jsonl.zst", "01.jsonl.zst", "b/02.jsonl.zst", str(far)]
    assert [piece.paths for piece in found.values()] == [(path,) for path in paths]
    assert list(found) == ["00", "01", "02", "far"]


def test_every_bad_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jsonl").touch()
    (tmp_path / "two words.jsonl.zst").touch()
    (tmp_path / "gone.jsonl.zst").symlink_to("nowhere")
    shards = ["nowhere", "empty", "text.jsonl", "two words.jsonl.zst", "gone.jsonl.zst"]
    assert source_errors(shards, tmp_path) == [
        'corpus.shards[0]: "nowhere": no such file or folder',
        'corpus.shards[1]: "empty": no *.jsonl.zst files in this folder',
        'corpus.shards[2]: "text.jsonl": expected a file that ends in .jsonl.zst',
        'corpus.shards[3]: "two words.jsonl.zst": use only letters, digits, ".", "_" '
        'and "-" in its name',
        'corpus.shards[4]: "gone.jsonl.zst": a link to nowhere, which is not there; '
        "mend the link, or give the file's own path",
    ]


def test_two_sources_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "00.jsonl.zst").touch()
    assert source_errors(["a", "b", "a/00.jsonl.zst"], tmp_path) == [
        'corpus.shards[1]: "b/00.jsonl.zst": has the same name as "a/00.jsonl.zst"; '
        "rename one",
        'corpus.shards[2]: "a/00.jsonl.zst": listed twice; remove one',
    ]


# --- the schema and what is written about it ----------------------------------


def entries(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict]]:
    """Every key of the schema with its dotted path."""
    for name, entry in schema.get("properties", {}).items():
        key = f"{path}.{name}".lstrip(".")
        yield key, entry
        yield from entries(entry, key)
        for named in entry.get("patternProperties", {}).values():
            yield from entries(named, f"{key}.<name>")


def test_every_key_is_described_in_the_readme() -> None:
    readme = (ROOT / "config/README.md").read_text()
    rows = table(readme)
    for key, entry in entries(load_schema()):
        assert rows[key].endswith(f"| {entry['description']} |")


def test_every_section_is_closed() -> None:
    sections = [e for _, e in entries(load_schema()) if e["type"] == "object"]
    assert len(sections) > 10
    for section in [load_schema(), *sections]:
        assert section["additionalProperties"] is False


def test_probes_are_those_of_the_library() -> None:
    from headwater import probes

    assert sorted(probes.PROBES) == PROBES


def test_actions_are_those_of_the_library() -> None:
    arm = load_schema()["properties"]["arms"]["patternProperties"]["^[a-z][a-z0-9_]*$"]
    assert set(arm["properties"]["action"]["enum"]) == set(ACTIONS)


def test_the_readme_has_every_probe_and_every_kind_with_its_needs() -> None:
    readme = (ROOT / "config/README.md").read_text()
    _, probes = readme.split("## Probes\n")
    probes, kinds = probes.split("## Kinds of rows\n")
    assert table(probes).keys() == {*PROBES}
    found = {name: line.split("|")[3:5] for name, line in table(kinds).items()}
    assert found == {
        name: [
            " required " if kind.scored or "target" in kind.required else " none ",
            " any " if kind.drawn else " 1 ",
        ]
        for name, kind in KINDS.items()
    }


def table(text: str) -> dict[str, str]:
    return {line.split("`")[1]: line for line in text.splitlines() if "| `" in line}


def own(kind: str) -> dict[str, Any]:
    """What an arm of a kind must have besides a target."""
    known = {"strata": ["domain"], "file": "rows.jsonl"}
    return {key: known[key] for key in KINDS[kind].required if key != "target"}


def action(kind: str) -> str:
    """The first action that a kind goes with."""
    return next(iter(KINDS[kind].colours))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_asks_for_what_it_needs_and_no_more(kind: str, base: Path) -> None:
    asks = KINDS[kind].scored or "target" in KINDS[kind].required
    arm = {"action": action(kind), "rows": kind, "fraction": 0.1, **own(kind)}
    arm["draws"] = 2
    found = [
        problems(changed(("arms.own", {**arm, **target}), ("seeed", 1)), base)[1:]
        for target in ({}, {"target": "induction"})
    ]
    draws = [] if KINDS[kind].drawn else ["draws: expected 1"]
    needless = [] if asks else [f"target: {kind} rows have no target"]
    missing = ["target: missing"] if asks else []
    for lines, wanted in zip(found, (missing + draws, needless + draws), strict=True):
        assert len(lines) == len(wanted)
        for line, start in zip(lines, wanted, strict=True):
            assert line.startswith(f"c.yaml: arms.own.{start}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("disjoint", [True, False])
def test_only_kinds_that_explain_others_may_overlap(kind, disjoint, base) -> None:
    arm = {"rows": kind, "fraction": 0.1, "disjoint": disjoint}
    arm |= {"action": action(kind), **own(kind)}
    if KINDS[kind].scored or "target" in KINDS[kind].required:
        arm["target"] = "induction"
    config = changed(("arms.own", arm))
    if KINDS[kind].explains and KINDS[kind].scored:
        assert (
            load_config(config, "c.yaml", base)["arms"]["own"]["disjoint"] is disjoint
        )
        return
    assert problems(config, base) == [
        f"c.yaml: arms.own.disjoint: {kind} rows are compared with no others; remove "
        "this key"
    ]


def test_import_stays_light() -> None:
    # Every cluster job loads the config before it does anything. Snakemake, which does
    # so, has numpy loaded by then.
    code = "import sys, headwater.config; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"pandas", "torch", "transformers", "zarr", "snakemake"}
    assert not heavy & set(run.stdout.split())
