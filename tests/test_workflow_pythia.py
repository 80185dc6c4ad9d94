"""Pythia's experiments with real Snakemake: the ready ones planned, tiny ones run."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
import zarr
from safetensors.torch import load_file

from clone import jobs, make_clone, run
from headwater.corpus.tokenizer import save_trained, train
from megatron_writer import write_preshuffled
from model_hub import REPO, SHAPE, serve, write_revision
from neox_tokenizer import hub_folder
from test_corpus_support import some_text

pytestmark = pytest.mark.workflow

READY = ("14m", "31m", "70m", "160m")
STREAMED = "someone/texts"
ROWS = "EleutherAI/pile-tiny-pythia-preshuffled"
VOCABULARY = 300


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def hub(clone: Path, monkeypatch: pytest.MonkeyPatch):
    """A hub with a model, its rows and a data set of texts; Snakemake's jobs use it."""
    root = clone / "hub"
    for step, seed in ((0, 0), (4, 1), (8, 2)):
        write_revision(root / "models" / REPO / f"step{step}", seed)
    write_preshuffled(root / "datasets" / ROWS, 300, 33, VOCABULARY, shards=2)
    data = root / "datasets" / STREAMED / "data.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"text": some_text(seed, 300), "kind": "prose"} for seed in range(60)]
    data.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    tokenizer = clone / "tokenizer"
    tokenizer.mkdir(exist_ok=True)
    save_trained(tokenizer, train(iter([some_text(0, 2000)]), VOCABULARY))
    with serve(root) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(clone / "hf"))
        yield server


def write_config(clone: Path, name: str, config: dict[str, Any]) -> str:
    path = clone / "config" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path.relative_to(clone))


def ready(clone: Path, size: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(
        (clone / f"config/pythia-{size}.yaml").read_text()
    )
    return config


@pytest.mark.parametrize("size", READY)
def test_a_ready_experiment_plans_everything(clone: Path, size: str) -> None:
    """From nothing: no file, no network."""
    config = ready(clone, size)
    result = run(clone, "-n", config=f"config/pythia-{size}.yaml")
    assert result.returncode == 0, result.stdout[-3000:]
    planned = jobs(result.stdout)
    runs = sum(arm.get("draws", 1) for arm in config["arms"].values())
    assert planned["fetch_checkpoint"] == planned["fetch_rows"] == 1
    assert planned["fetch_tokenizer"] == planned["train_baseline"] == 1
    assert planned["retrain_arm"] == planned["build_arm"] == runs == 11
    assert planned["evaluate_arm"] == len(config["arms"]) + 1
    assert planned["row_gradients"] == config["gradients"]["shards"]
    assert planned["write_summary"] == planned["plot_emergence"] == 1


def test_three_paths_make_a_ready_experiment_local(clone: Path, tmp_path: Path) -> None:
    config = ready(clone, "14m")
    rows = write_preshuffled(tmp_path / "rows", 5, 33, VOCABULARY)
    os.truncate(rows / "document.bin", 4098 * 1024 * 2001)  # a hole on the disk
    shape = {**config["model"], "max_position_embeddings": 2048}
    write_revision(tmp_path / "models" / "step0", **shape)
    config["corpus"]["pythia"]["path"] = str(rows)
    config["corpus"]["tokenizer"]["name"] = str(hub_folder(tmp_path / "tokenizer"))
    config["checkpoints"] = {"folder": str(tmp_path / "models"), "start": "step0"}
    name = write_config(clone, "local", config)
    result = run(clone, "-n", config=name)
    assert result.returncode == 0, result.stdout[-3000:]
    planned = jobs(result.stdout)
    assert "fetch_rows" not in planned
    assert planned["fetch_checkpoint"] == 1  # from the folder
    prepared = jobs(run(clone, "-n", "prepare", config=name).stdout)
    assert set(prepared) == {"prepare", "fetch_tokenizer"}


def tiny_pythia(clone: Path) -> dict[str, Any]:
    """The 14M experiment, shrunk to seconds but for its structure."""
    config = ready(clone, "14m")
    config["experiment"] = "tiny"
    config["corpus"] = {
        "seq_len": 32,
        "tokenizer": {"name": "tokenizer"},
        "pythia": {"path": f"hf://datasets/{ROWS}"},
        "held_out": {"rows": 16},
    }
    config["checkpoints"]["repo"] = REPO
    config["model"] = dict(SHAPE)
    config["training"] |= {
        "steps": 16,
        "batch_size": 8,
        "micro_batch_size": 4,
        "warmup_steps": 8,
        "checkpoint_every": 4,
        "threads": 1,
    }
    config["heads"] = {"sequences": 4, "length": 16, "min_period": 4, "max_period": 7}
    del config["targets"]["previous_token"]
    config["window"] |= {"start": 4, "end": 12}
    config["curvature"] = {"rows": 32}
    config["gradients"] |= {"shards": 1, "probe_sequences": 4}
    config["influence"] |= {"fidelity_rows": 16, "method": "exact"}
    config["arms"] = {"remove_top": config["arms"]["remove_top"]}
    config["retraining"]["checkpoint_every"] = 4
    config["evaluation"] = {"early_tokens": 4, "late_tokens": 4}
    return config


@pytest.mark.long
def test_the_whole_experiment_from_a_hub(clone: Path, hub) -> None:
    """Rows by range from shards, the start by revision, to the report."""
    hub.fail("503", "", "drop")  # what a login node meets
    config = tiny_pythia(clone)
    result = run(clone, config=write_config(clone, "tiny", config))
    assert result.returncode == 0, result.stdout[-6000:]
    results = clone / "results/tiny"
    assert (results / "report/emergence.png").is_file()
    assert "L" in (results / "report/summary.md").read_text()

    store = zarr.open_group(results / "influence/induction/0000.zarr")
    scores = np.asarray(store["scores"])
    assert scores.shape == (8 * 8, 1)
    assert np.isfinite(scores).all()
    assert scores.std() > 0
    effects = pd.read_csv(results / "evaluation/effects.tsv", sep="\t")
    assert sorted(effects["arm"]) == ["baseline", "remove_top"]

    # The baseline starts from the hub's weights; GPT-NeoX's first rate is 0.
    start = load_file(hub.root / "models" / REPO / "step0" / "model.safetensors")
    for step, moved in ((0, False), (1, False), (2, True)):
        saved = load_file(results / f"checkpoints/step{step}/model.safetensors")
        same = (saved["embed_out.weight"] == start["embed_out.weight"].float()).all()
        assert bool(same) != moved
    # Rows are scored at the window's end; arms begin at its start.
    scored, begun = (
        json.loads((results / f"heads/{role}/trainer.json").read_text())["step"]
        for role in ("end", "start")
    )
    assert (scored, begun) == (12, 4)
    assert hub.sent < sum(f.stat().st_size for f in hub.root.rglob("*") if f.is_file())


@pytest.mark.long
def test_published_revisions_and_a_streamed_data_set(clone: Path, hub) -> None:
    """Texts by `datasets`, published weights, no training: to the pages of rows."""
    config = tiny_pythia(clone)
    config["experiment"] = "streamed"
    config["corpus"] = {
        "seq_len": 32,
        "tokenizer": {"name": "tokenizer"},
        "dataset": {"name": STREAMED, "text": "text", "domain": "kind"},
        "held_out": {"fraction": 0.2, "rows_per_domain": 8},
    }
    del config["arms"]
    config["checkpoints"] = {"repo": REPO, "revisions": ["step4", "step8"]}
    config["window"] |= {"start": 4, "end": 8, "score_at": "start"}
    name = write_config(clone, "streamed", config)
    result = run(clone, config=name)
    assert result.returncode == 0, result.stdout[-6000:]
    done = jobs(result.stdout)
    assert done["fetch_checkpoint"] == 2
    assert not {"train_baseline", "retrain_arm"} & set(done)
    results = clone / "results/streamed"
    heads = pd.read_csv(results / "heads/scores.tsv", sep="\t")
    assert sorted(heads["step"].unique()) == [4, 8]
    rows = zarr.open_group(results / "corpus/0000.zarr")["tokens"]
    assert rows.shape == (16 * 8, 33)
    ranked = pd.read_csv(results / "influence/induction.tsv", sep="\t")
    assert len(ranked) == 4 * 8
    assert np.isfinite(ranked["score"]).all()
    page = (results / "report/index.html").read_text()
    assert "texts-0000" in page
    assert "Published checkpoints" in page
    assert "Nothing to be done" in run(clone, config=name).stdout
