"""Checkpoints on disk, and runs that are killed and resumed."""

import copy
import json
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPTNeoXForCausalLM

from headwater.checkpoints import files
from headwater.checkpoints.files import (
    MODEL_FILES,
    OPTIMIZER_FILE,
    TrainerState,
    load_model,
    load_optimizer,
    load_state,
    save_checkpoint,
)
from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.publish import publish_folder
from headwater.steps import step_numbers
from headwater.training.recipe import make_optimizer
from headwater.training.run import RESUME, Run, new_model, recipe_of, train_run
from headwater.training.trainer import train
from test_corpus_support import folder_bytes, small_config
from tiny import VOCABULARY, random_rows

CONFIG = small_config(
    model={
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "rotary_pct": 0.5,
        "initializer_range": 0.05,
    },
    training={
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 0.01,
        "warmup_steps": 3,
        "betas": [0.9, 0.95],
        "eps": 1e-8,
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
    },
)
STAMP = identity("checkpoints", CONFIG)
RECIPE = recipe_of(CONFIG)
SCHEDULE = [0, 1, 2, 4, 6]


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return random_rows(4, seed=100 + step), torch.tensor([1.0, 0.0, 1.0, 2.0])


def model_of_seed(seed: int = 0) -> GPTNeoXForCausalLM:
    return new_model(CONFIG, VOCABULARY, seed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of step 3, the model and its optimizer."""
    model = model_of_seed()
    optimizer = make_optimizer(model, RECIPE)
    train(model, optimizer, RECIPE, batch, range(3), lambda *_: None)
    folder = tmp_path_factory.mktemp("trained") / "step3"
    save_checkpoint(folder, model, optimizer, TrainerState(3, 2.5, STAMP))
    return folder, model, optimizer


@pytest.fixture
def checkpoint(trained, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(trained[0], tmp_path / "step3")


def refusal(folder: Path, config=CONFIG) -> str:
    with pytest.raises(HeadwaterError) as caught:
        load_model(folder, config)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    return message


# Files


def test_a_checkpoint_comes_back_with_its_moments(trained):
    folder, model, optimizer = trained
    assert load_state(folder, CONFIG) == TrainerState(3, 2.5, STAMP)
    found = load_model(folder, CONFIG)
    assert not found.training
    fresh = make_optimizer(found, RECIPE)
    load_optimizer(folder, found, fresh)
    pairs = zip(model.named_parameters(), found.named_parameters(), strict=True)
    for (name, wanted), (found_name, parameter) in pairs:
        assert name == found_name
        assert parameter.dtype == torch.float32
        assert torch.equal(wanted, parameter)
        old, new = optimizer.state[wanted], fresh.state[parameter]
        assert set(old) == set(new) == {"step", "exp_avg", "exp_avg_sq"}
        assert old["step"] == new["step"] == 3
        assert all(torch.equal(old[key], new[key]) for key in old)
        assert new["exp_avg_sq"].any()
    steps = [fresh.state[p]["step"] for p in found.parameters()]
    assert len({step.data_ptr() for step in steps}) == len(steps), "one step, shared"


def test_transformers_loads_a_checkpoint(trained):
    folder, model, _ = trained
    found, info = GPTNeoXForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    names = load_file(folder / "model.safetensors").keys()
    assert "embed_out.weight" in names
    assert not any(name.startswith("lm_head") for name in names)
    tokens = random_rows(2)
    model.eval()
    with torch.no_grad():
        assert torch.equal(found(tokens).logits, model(tokens).logits)


def test_a_checkpoint_replaces_an_older_one_whole(trained, tmp_path):
    _, model, optimizer = trained
    folder = tmp_path / "step1"
    save_checkpoint(folder, model, optimizer, TrainerState(1, 0.0, STAMP))
    save_checkpoint(folder, model, None, TrainerState(2, 0.0, STAMP))
    assert sorted(path.name for path in folder.iterdir()) == sorted(MODEL_FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["step1"]
    assert load_state(folder, CONFIG).step == 2


def test_weights_alone_cannot_be_resumed_from(trained, tmp_path):
    _, model, _ = trained
    save_checkpoint(tmp_path / "step1", model, None, TrainerState(1, 0.0, STAMP))
    found = load_model(tmp_path / "step1", CONFIG)
    with pytest.raises(HeadwaterError, match=f"without {OPTIMIZER_FILE}"):
        load_optimizer(tmp_path / "step1", found, make_optimizer(found, RECIPE))


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(checkpoint, name):
    (checkpoint / name).unlink()
    assert f"without {name}; to make it again: " in refusal(checkpoint)


def test_a_missing_checkpoint_is_named(tmp_path):
    assert "without config.json, model.safetensors" in refusal(tmp_path / "step9")


@pytest.mark.parametrize("name", [*MODEL_FILES, OPTIMIZER_FILE])
@pytest.mark.parametrize("size", [0, 5, 0.5, 0.999])
def test_a_truncated_file_is_one_line(checkpoint, name, size):
    path = checkpoint / name
    content = path.read_bytes()
    keep = int(size * len(content)) if 0 < size < 1 else size
    path.write_bytes(content[: min(keep, len(content) - 3)])
    if name == OPTIMIZER_FILE:
        model = load_model(checkpoint, CONFIG)
        with pytest.raises(HeadwaterError) as caught:
            load_optimizer(checkpoint, model, make_optimizer(model, RECIPE))
        message = str(caught.value)
        assert "\n" not in message
    else:
        message = refusal(checkpoint)
    assert message.startswith(f"{path}: damaged (")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(checkpoint, value):
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    name = "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"
    tensors[name][3, 2] = value
    save_file(tensors, path)
    message = refusal(checkpoint)
    assert message.startswith(f"{path}: 1 of the 256 numbers of {name} are NaN or inf")


def test_another_architecture_is_refused(checkpoint):
    path = checkpoint / "config.json"
    path.write_text(path.read_text().replace('"gpt_neox"', '"mamba"'))
    message = refusal(checkpoint)
    assert message.startswith(f"{path}: a model of type 'mamba'; Headwater supports")


def test_rows_longer_than_the_models_positions_are_refused(checkpoint):
    path = checkpoint / "config.json"
    positions = CONFIG["corpus"]["seq_len"]
    text = path.read_text()
    wanted = f'"max_position_embeddings": {positions}'
    assert wanted in text
    path.write_text(text.replace(wanted, '"max_position_embeddings": 5'))
    assert f"has 5 positions, corpus.seq_len is {positions}" in refusal(checkpoint)


def test_weights_of_another_shape_are_one_line(checkpoint):
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    tensors["embed_out.weight"] = tensors["embed_out.weight"][:5].clone()
    save_file(tensors, path)
    assert "lm_head.weight" in refusal(checkpoint)


def test_a_checkpoint_of_another_config_is_refused(trained):
    config = copy.deepcopy(CONFIG)
    config["training"]["learning_rate"] = 0.02
    message = refusal(trained[0], config)
    assert "training.learning_rate is 0.01 there, 0.02 here" in message


@contextmanager
def most_bytes(limit: int):
    """No file may grow beyond `limit` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_on_a_full_disk_is_one_line_and_absent(trained, tmp_path):
    _, model, optimizer = trained
    state = TrainerState(1, 0.0, STAMP)
    with (
        pytest.raises(HeadwaterError) as caught,
        publish_folder(tmp_path / "arm", {}) as part,
        most_bytes(4096),
    ):
        save_checkpoint(part / "step1", model, optimizer, state)
    assert "File too large" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "arm").exists()
    assert not (part / "step1").exists()
    with publish_folder(tmp_path / "arm", {}) as part:
        save_checkpoint(part / "step1", model, optimizer, state)
    assert [path.name for path in (tmp_path / "arm").iterdir()] == ["step1"]


# Runs


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the library may see it."""


def a_run(folder: Path, keep_optimizer: bool) -> Run:
    return Run("test", folder, SCHEDULE, keep_optimizer, STAMP)


def do(folder: Path, keep_optimizer: bool, killed_at: int | None = None) -> None:
    """The run, or its beginning: killed when it asks for the batch of a step."""

    def until_killed(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if step == killed_at:
            raise Killed
        return batch(step)

    what = a_run(folder, keep_optimizer)
    train_run(what, model_of_seed(), RECIPE, until_killed, CONFIG)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What both kinds of run leave, by `keep_optimizer`."""
    found = {}
    for keep in (True, False):
        folder = tmp_path_factory.mktemp("undisturbed")
        do(folder, keep)
        found[keep] = folder_bytes(folder)
    return found


def test_every_trainer_file_is_strict_json(tmp_path):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    do(tmp_path, True)
    losses = []
    for step in SCHEDULE:
        text = (tmp_path / f"step{step}" / "trainer.json").read_text()
        losses.append(json.loads(text, parse_constant=refuse)["loss"])
    assert losses[0] is None
    assert all(loss > 0 for loss in losses[1:])


@pytest.mark.parametrize("keep", [True, False])
def test_a_run_keeps_the_scheduled_checkpoints(undisturbed, keep):
    folders = {f"step{step}" for step in SCHEDULE}
    names = [*MODEL_FILES, OPTIMIZER_FILE] if keep else MODEL_FILES
    wanted = {f"{folder}/{name}" for folder in folders for name in names}
    if not keep:
        wanted |= {f"{RESUME}/{name}" for name in (*MODEL_FILES, OPTIMIZER_FILE)}
    assert set(undisturbed[keep]) == wanted
    weights = {undisturbed[keep][f"{f}/model.safetensors"] for f in folders}
    assert len(weights) == len(SCHEDULE)


def test_keeping_the_optimizer_does_not_change_the_weights(undisturbed):
    for step in SCHEDULE:
        name = f"step{step}/model.safetensors"
        assert undisturbed[True][name] == undisturbed[False][name]
    last = undisturbed[False][f"{RESUME}/{OPTIMIZER_FILE}"]
    assert last == undisturbed[True][f"step{SCHEDULE[-1]}/{OPTIMIZER_FILE}"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_run_killed_at_any_step_ends_with_the_same_bytes(
    tmp_path, undisturbed, keep, step
):
    with pytest.raises(Killed):
        do(tmp_path, keep, killed_at=step)
    assert folder_bytes(tmp_path) != undisturbed[keep]
    do(tmp_path, keep)
    assert folder_bytes(tmp_path) == undisturbed[keep]


def test_a_resumed_run_does_not_begin_again(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        do(tmp_path, True, killed_at=5)
    asked = []
    what = a_run(tmp_path, True)
    train_run(
        what, model_of_seed(9), RECIPE, lambda s: asked.append(s) or batch(s), CONFIG
    )
    assert asked == [4, 5]


@pytest.mark.parametrize(
    ("keep", "saving"), [(True, 0), (True, 3), (False, 0), (False, 5), (False, 6)]
)
def test_a_run_killed_within_a_save_ends_with_the_same_bytes(
    tmp_path, undisturbed, monkeypatch, keep, saving
):
    """Killed before the files are flushed, at the n-th save of the run."""
    flushed = []

    def flush(folder: Path) -> None:
        flushed.append(folder)
        if len(flushed) > saving:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync_tree", flush)
        with pytest.raises(Killed):
            do(tmp_path, keep)
    do(tmp_path, keep)
    assert folder_bytes(tmp_path) == undisturbed[keep]


@pytest.mark.parametrize(
    ("keep", "name"),
    [(True, "config.json"), (False, "trainer.json"), (False, OPTIMIZER_FILE)],
)
def test_a_checkpoint_half_deleted_is_not_resumed_from(
    tmp_path, undisturbed, keep, name
):
    """Killed while an older checkpoint makes room, or while `resume` is removed."""
    with pytest.raises(Killed):
        do(tmp_path, keep, killed_at=5)
    folder = tmp_path / ("step4" if keep else RESUME)
    (folder / name).unlink()
    do(tmp_path, keep)
    assert folder_bytes(tmp_path) == undisturbed[keep]


def test_an_arm_starts_from_a_checkpoint_with_its_optimizer(tmp_path, undisturbed):
    do(tmp_path / "baseline", True)
    arm = Run("arm", tmp_path / "arm", [4, 5, 6], False, STAMP)
    train_run(arm, tmp_path / "baseline" / "step4", RECIPE, batch, CONFIG)
    for name in ("model.safetensors", OPTIMIZER_FILE):
        place = RESUME if name == OPTIMIZER_FILE else "step6"
        found = (tmp_path / "arm" / place / name).read_bytes()
        assert found == undisturbed[True][f"step6/{name}"]
    assert load_state(tmp_path / "arm" / "step5", CONFIG).step == 5


def test_an_arm_does_not_start_from_weights_alone(tmp_path):
    do(tmp_path / "baseline", False)
    arm = Run("arm", tmp_path / "arm", [4, 6], False, STAMP)
    with pytest.raises(HeadwaterError, match=f"without {OPTIMIZER_FILE}"):
        train_run(arm, tmp_path / "baseline" / "step4", RECIPE, batch, CONFIG)


def test_the_part_of_another_config_is_not_resumed(tmp_path):
    with pytest.raises(Killed):
        do(tmp_path, True, killed_at=3)
    config = copy.deepcopy(CONFIG)
    config["training"]["warmup_steps"] = 1
    with pytest.raises(HeadwaterError, match=r"training\.warmup_steps is 3 there, 1"):
        train_run(a_run(tmp_path, True), model_of_seed(), RECIPE, batch, config)


def test_a_diverged_run_stops_with_one_line(tmp_path):
    config = copy.deepcopy(CONFIG)
    config["training"].update(learning_rate=1e30, max_grad_norm=1e30)
    with pytest.raises(
        HeadwaterError, match=r"test: the loss is not finite at step \d"
    ):
        train_run(
            a_run(tmp_path, True), model_of_seed(), recipe_of(config), batch, config
        )


# New models


def test_a_new_model_follows_its_seed_and_the_config():
    one, same, other = model_of_seed(), model_of_seed(), model_of_seed(1)
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)
    assert one.config.vocab_size == VOCABULARY
    assert one.config.rope_parameters["partial_rotary_factor"] == 0.5
    assert one.config.hidden_size == 16
    assert one.config.attention_dropout == one.config.hidden_dropout == 0
    embedding = one.gpt_neox.embed_in.weight
    assert embedding.std().item() == pytest.approx(0.05, rel=0.1)
    assert not one.config.tie_word_embeddings


def test_a_larger_vocabulary_pads():
    config = copy.deepcopy(CONFIG)
    config["model"]["vocab_size"] = 64
    assert new_model(config, VOCABULARY, 0).gpt_neox.embed_in.num_embeddings == 64


def test_a_recipe_is_the_configs_training():
    recipe = recipe_of(CONFIG, "kept")
    assert recipe.betas == (0.9, 0.95)
    assert recipe.divisor == "kept"
    assert recipe_of(CONFIG).divisor == "fixed"
    for name in ("learning_rate", "warmup_steps", "eps", "weight_decay"):
        assert getattr(recipe, name) == CONFIG["training"][name]
    assert recipe.max_grad_norm == 1.0


def test_step_folders_are_ordered_by_number():
    found = step_numbers(Path(name) for name in ("a/step100", "a/step8", "a/step16"))
    assert found == [(n, Path(f"a/step{n}")) for n in (8, 16, 100)]
    assert step_numbers([]) == []
