"""Published checkpoints: from a local hub with faults, and from a folder."""

import errno
import hashlib
import json
import logging
import os
import pickle
from pathlib import Path

import httpx2
import huggingface_hub.constants
import huggingface_hub.file_download
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPTNeoXForCausalLM

from headwater.checkpoints.files import load_model, load_state
from headwater.checkpoints.published import SOURCE_FILE
from headwater.checkpoints.source import fetch_checkpoint
from headwater.checkpoints.weights import load_pickled
from headwater.errors import HeadwaterError
from headwater.identity import identity
from headwater.net import failures
from headwater.net.hub import hub_file, is_whole
from headwater.suggestions import nearest
from model_hub import REPO, SHAPE, pythia_tensors, write_revision
from test_corpus_support import small_config

WEIGHTS = "model.safetensors"


@pytest.fixture
def server(model_server):
    """A hub with revisions of one model."""
    for step, seed in ((0, 0), (1, 1), (512, 2), (1000, 3), (2000, 4)):
        write_revision(model_server.root / "models" / REPO / f"step{step}", seed)
    return model_server


def hub_config(**model) -> dict:
    return small_config(
        checkpoints={"repo": REPO, "start": "step0"}, model={**SHAPE, **model}
    )


def folder_config(folder: Path) -> dict:
    return small_config(
        checkpoints={"folder": str(folder), "start": "step0"}, model=dict(SHAPE)
    )


def fetch(target: Path, revision: str, config: dict) -> Path:
    stamp = identity("source", config, revision=revision)
    fetch_checkpoint(target, revision, config, stamp)
    return target


def refusal(target: Path, revision: str, config: dict) -> str:
    with pytest.raises(HeadwaterError) as caught:
        fetch(target, revision, config)
    message = str(caught.value)
    assert "\n" not in message
    assert not target.exists()
    return message


def hf_weights(folder: Path) -> torch.Tensor:
    """What `transformers` itself makes of a revision: logits of some tokens."""
    model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.arange(1, 9)[None]).logits


# From the hub


def test_a_revision_becomes_a_checkpoint(server, tmp_path):
    config = hub_config()
    folder = fetch(tmp_path / "step512", "step512", config)
    model = load_model(folder, config)
    assert next(model.parameters()).dtype == torch.float32
    with torch.no_grad():
        found = model(torch.arange(1, 9)[None]).logits
    source = server.root / "models" / REPO / "step512"
    assert torch.equal(found, hf_weights(source))
    assert load_state(folder, config).step == 512
    assert load_state(folder, config).loss is None
    record = json.loads((folder / SOURCE_FILE).read_text())
    assert record["repo"] == REPO
    assert record["revision"] == "step512"
    assert len(record["commit"]) == 40
    data = (source / WEIGHTS).read_bytes()
    assert record["sha256"][WEIGHTS] == hashlib.sha256(data).hexdigest()


def test_each_revision_has_its_own_weights_and_is_fetched_once(server, tmp_path):
    config = hub_config()
    folders = [fetch(tmp_path / s, s, config) for s in ("step0", "step1", "step0")]
    weights = [(folder / WEIGHTS).read_bytes() for folder in folders]
    assert weights[0] != weights[1]
    gets = [path for method, path, _ in server.requests if method == "GET"]
    names = sorted(path.rsplit("/", 1)[-1] for path in gets)
    assert names == ["config.json", WEIGHTS, WEIGHTS]  # equal files are one


@pytest.mark.parametrize(
    "faults",
    [["503"], ["drop"], ["truncate"], ["", "503", "503"], ["", "drop", "503"]],
)
def test_faults_that_pass_are_tried_again(server, tmp_path, monkeypatch, faults):
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda _: None)
    server.fail(*faults)
    config = hub_config()
    folder = fetch(tmp_path / "step1", "step1", config)
    expected = pythia_tensors(1)["embed_out.weight"]
    assert torch.equal(load_file(folder / WEIGHTS)["embed_out.weight"], expected)


def test_a_hub_that_stays_broken_is_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda _: None)
    server.fail(*["503"] * 50)
    message = refusal(tmp_path / "step1", "step1", hub_config())
    assert message.startswith(
        f"checkpoints.repo: hf://{REPO}@step1/config.json: cannot be fetched (the "
        "server answered 503; 6 tries); run again to go on"
    )
    assert "`hf download` into the same HF_HOME" in message


def test_no_network_and_nothing_cached_says_what_to_fetch(
    server, tmp_path, monkeypatch
):
    def down(*_, **__):
        raise httpx2.ConnectError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.file_download, "get_hf_file_metadata", down)
    message = refusal(tmp_path / "step1", "step1", hub_config())
    assert "(Name or service not known; 6 tries)" in message
    assert "`snakemake prepare`" in message


def test_a_full_disk_is_one_line(server, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", full)
    message = refusal(tmp_path / "step1", "step1", hub_config())
    assert "config.json: cannot be put into the hub's cache" in message
    assert "No space left on device" in message
    assert "set HF_HOME" in message


def test_offline_mode_uses_the_cache_and_says_what_is_missing(
    server, tmp_path, monkeypatch
):
    config = hub_config()
    online = fetch(tmp_path / "online", "step1", config)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    before = len(server.requests)
    offline = fetch(tmp_path / "offline", "step1", config)
    assert (offline / WEIGHTS).read_bytes() == (online / WEIGHTS).read_bytes()
    message = refusal(tmp_path / "other", "step512", config)
    assert "HF_HUB_OFFLINE is set" in message
    assert message.startswith(f"{REPO} (revision step512): config.json is not in")
    assert "`snakemake prepare`" in message
    assert len(server.requests) == before


def test_a_damaged_file_of_the_cache_is_fetched_again(server, tmp_path):
    path = hub_file(REPO, "step1", WEIGHTS)
    assert path is not None
    assert is_whole(path)
    blob = path.resolve()
    data = blob.read_bytes()
    blob.write_bytes(data[:-3] + b"xyz")
    assert not is_whole(path)
    again = hub_file(REPO, "step1", WEIGHTS)
    assert again is not None
    assert again.read_bytes() == data


def test_small_files_are_checked_by_the_hash_of_git(tmp_path):
    text = b"{}\n"
    name = hashlib.sha1(b"blob 3\0" + text).hexdigest()
    (tmp_path / name).write_bytes(text)
    assert is_whole(tmp_path / name)
    (tmp_path / name).write_bytes(b"{ }")
    assert not is_whole(tmp_path / name)
    (tmp_path / "plain.json").write_bytes(b"anything")
    assert is_whole(tmp_path / "plain.json")


def test_a_revision_that_does_not_exist_names_the_nearest(server, tmp_path):
    message = refusal(tmp_path / "s", "step600", hub_config())
    assert message == (
        f"checkpoints.repo: model {REPO} has no revision 'step600'; the nearest are "
        "step1, step512, step1000, step2000"
    )


def test_a_model_that_does_not_exist_is_one_line(server, tmp_path):
    config = hub_config()
    config["checkpoints"]["repo"] = "EleutherAI/pythia-15m"
    message = refusal(tmp_path / "s", "step0", config)
    assert "shows no model 'EleutherAI/pythia-15m'" in message
    assert "HF_TOKEN" in message


def test_the_token_is_sent(server, monkeypatch):
    seen = []
    handler = server.RequestHandlerClass
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    answer = handler._answer

    def watch(self, body=b""):
        seen.append(self.headers.get("Authorization"))
        answer(self, body)

    monkeypatch.setattr(handler, "_answer", watch)
    hub_file(REPO, "step0", "config.json")
    assert set(seen) == {"Bearer hf_secret"}


def test_waits_grow_and_are_logged(server, monkeypatch, caplog):
    waits = []
    monkeypatch.setattr(failures, "_FIRST_WAIT", 1.0)
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    server.fail("503", "503", "503", "503")
    server.retry_after = 3
    logging.getLogger("headwater").propagate = True
    with caplog.at_level(logging.WARNING, "headwater"):
        assert hub_file(REPO, "step0", "config.json") is not None
    assert waits == [3.0, 3.0, 4.0, 8.0]
    assert "trying again in 8 s" in caplog.text


# From a folder


def test_a_folder_of_revisions_serves_like_the_hub(server, tmp_path):
    config = folder_config(server.root / "models" / REPO)
    folder = fetch(tmp_path / "step1", "step1", config)
    other = fetch(tmp_path / "hub-step1", "step1", hub_config())
    assert (folder / WEIGHTS).read_bytes() == (other / WEIGHTS).read_bytes()
    assert (folder / "config.json").read_bytes() == (other / "config.json").read_bytes()


def test_pickled_weights_serve_where_there_are_no_others(tmp_path):
    write_revision(tmp_path / "m" / "step0", 5, pickled=True)
    folder = fetch(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    expected = pythia_tensors(5)["embed_out.weight"]
    assert torch.equal(load_file(folder / WEIGHTS)["embed_out.weight"], expected)
    assert "pytorch_model.bin" in (folder / SOURCE_FILE).read_text()
    assert not (folder / "pytorch_model.bin").exists()


def test_safetensors_are_preferred(tmp_path):
    write_revision(tmp_path / "m" / "step0", 5, pickled=True)
    write_revision(tmp_path / "m" / "step0", 6)
    folder = fetch(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    expected = pythia_tensors(6)["embed_out.weight"]
    assert torch.equal(load_file(folder / WEIGHTS)["embed_out.weight"], expected)


class Harmful:
    """Unpickled, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path):
    write_revision(tmp_path / "m" / "step0", pickled=True)
    path = tmp_path / "m" / "step0" / "pytorch_model.bin"
    torch.save({"embed_out.weight": Harmful(tmp_path / "ran")}, path)
    message = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert message.startswith(f"{path}: damaged, or it holds more than tensors")
    path.write_bytes(pickle.dumps(Harmful(tmp_path / "ran"), protocol=2))
    with pytest.raises(HeadwaterError):
        load_pickled(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 10, 0.5])
@pytest.mark.parametrize("pickled", [True, False])
def test_truncated_weights_are_one_line(tmp_path, keep, pickled):
    folder = write_revision(tmp_path / "m" / "step0", pickled=pickled)
    path = folder / ("pytorch_model.bin" if pickled else WEIGHTS)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    message = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert message.startswith(f"{path}: damaged")


def test_weights_in_several_files_are_put_together(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0", 7)
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names, where = sorted(tensors), {}
    for number, half in enumerate((names[::2], names[1::2])):
        part = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in half}, folder / part)
        where |= dict.fromkeys(half, part)
    index = folder / f"{WEIGHTS}.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    target = fetch(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    expected = tensors["embed_out.weight"]
    assert torch.equal(load_file(target / WEIGHTS)["embed_out.weight"], expected)
    index.write_text("[]")
    message = refusal(tmp_path / "two", "step0", folder_config(tmp_path / "m"))
    assert message.startswith(f"{index}: damaged")


def test_dropout_is_left_out(tmp_path):
    write_revision(tmp_path / "m" / "step0", hidden_dropout=0.1, attention_dropout=0.1)
    config = folder_config(tmp_path / "m")
    model = load_model(fetch(tmp_path / "out", "step0", config), config)
    assert model.config.hidden_dropout == model.config.attention_dropout == 0


# What does not fit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, "a model of type 'mamba'"),
        (
            {"model_type": "llama"},
            "a model of type 'llama', model.architecture is 'gpt_neox' in the config",
        ),
        (
            {"hidden_size": 64},
            "hidden_size is 64 in this model, model.hidden_size is 32",
        ),
        (
            {"rotary_pct": 1.0},
            "rotary_pct is 1.0 in this model, model.rotary_pct is 0.25",
        ),
        ({"vocab_size": 50304}, "vocab_size is 50304 in this model"),
        (
            {"max_position_embeddings": 4},
            "the model has 4 positions, corpus.seq_len is",
        ),
        (
            {"tie_word_embeddings": True},
            "tie_word_embeddings is true in this model; write model.tie_word",
        ),
    ],
)
def test_a_model_that_does_not_fit_the_config_is_refused(tmp_path, changes, message):
    folder = write_revision(tmp_path / "m" / "step0", **changes)
    found = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert found.startswith(f"{folder / 'config.json'}: ")
    assert message in found


def spoiled(folder: Path, change) -> Path:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder / WEIGHTS


def set_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["gpt_neox.embed_in.weight"][2, 3] = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_nan, "1 of the 9728 numbers of gpt_neox.embed_in.weight are NaN or"),
        (
            lambda t: t.pop("embed_out.weight"),
            "embed_out.weight is missing, config.json",
        ),
        (
            lambda t: t.update(extra=torch.ones(2)),
            "extra is (2,), config.json needs miss",
        ),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path, change, message):
    folder = write_revision(tmp_path / "m" / "step0")
    path = spoiled(folder, change)
    found = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_file_that_is_not_there_is_named(server, tmp_path, name):
    source = server.root / "models" / REPO / "step0"
    (source / name).unlink()
    message = refusal(tmp_path / "out", "step0", hub_config())
    assert message.startswith(f"{REPO} (revision step0) has no {name}")
    message = refusal(tmp_path / "out", "step0", folder_config(source.parent))
    assert message.startswith(f"{source.parent}: no {name}")
    assert message.endswith(f"in {source}; put a Hugging Face checkpoint there")


@pytest.mark.parametrize("changes", [{"hidden_size": "x"}, {"rope_parameters": 1}])
def test_a_config_of_other_types_is_one_line(tmp_path, changes):
    folder = write_revision(tmp_path / "m" / "step0", **changes)
    message = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert message.startswith(f"{folder / 'config.json'}: ")


def test_a_folder_that_is_a_revision_itself_is_told(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0")
    message = refusal(tmp_path / "out", "step0", folder_config(folder))
    assert message.startswith(f"{folder}: a revision itself, ")
    assert message.endswith("; name the folder above it")


def test_a_checkpoint_of_another_source_is_not_used(server, tmp_path):
    folder = fetch(tmp_path / "step0", "step0", hub_config())
    other = hub_config()
    other["checkpoints"]["start"] = "step1"
    with pytest.raises(HeadwaterError, match=r"checkpoints\.start is 'step0' there"):
        load_model(folder, other)


@pytest.mark.parametrize(
    ("revision", "near"),
    [
        ("step600", ["step256", "step512", "step1000", "step2000"]),
        ("step3", ["step1", "step256", "step512"]),
        ("step9000", ["step1000", "step2000"]),
        ("mian", ["main"]),
        ("steps512", ["step512", "step1", "step256", "step2000"]),
    ],
)
def test_nearest_revisions(revision, near):
    names = ["main", "step1", "step256", "step512", "step1000", "step2000"]
    found = nearest(revision, names)
    assert found[0] == near[0]
    assert sorted(found) == sorted(near)
