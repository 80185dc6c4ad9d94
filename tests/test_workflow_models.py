"""Whole experiments on other architectures, from shards to figure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from clone import make_clone, run

pytestmark = [pytest.mark.workflow, pytest.mark.long]
SHARED = {"llama": True, "gpt2": False}


@pytest.fixture(scope="module", params=SHARED)
def finished(request, tmp_path_factory) -> tuple[str, Path]:
    """An architecture, and the clone in which its experiment has run."""
    name = request.param
    clone = make_clone(tmp_path_factory.mktemp(name))
    done = run(clone, config=f"config/smoke-{name}.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    return name, clone


def results(finished: tuple[str, Path]) -> Path:
    name, clone = finished
    return clone / f"results/smoke-{name}"


def test_every_stage_has_left_its_result(finished) -> None:
    folder = results(finished)
    config = json.loads((folder / "checkpoints/step48/config.json").read_text())
    assert config["model_type"] == finished[0]
    assert (folder / "report/emergence.png").read_bytes().startswith(b"\x89PNG")
    ranked = pd.read_csv(folder / "influence/induction.tsv", sep="\t")
    assert np.isfinite(ranked["score"]).all()
    assert ranked["score"].std() > 0
    effects = pd.read_csv(folder / "evaluation/effects.tsv", sep="\t")
    assert {"baseline", "remove_top", "remove_random"} < set(effects["arm"])
    assert effects["probe_change"].abs().max() > 0


def test_stored_scores_agree_with_exact_ones(finished) -> None:
    table = pd.read_csv(results(finished) / "influence/fidelity.tsv", sep="\t")
    assert (table["spearman"] > 0.95).all()


def test_neurons_and_circuits_are_targets_like_heads(finished) -> None:
    """Scored, compared with exact scores, followed through every arm, shown."""
    folder = results(finished)
    targets = yaml.safe_load(
        (finished[1] / f"config/smoke-{finished[0]}.yaml").read_text()
    )["targets"]
    others = {name: t["unit"] for name, t in targets.items() if "unit" in t}
    assert {"neuron", "circuit"} <= set(others)
    fidelity = pd.read_csv(folder / "influence/fidelity.tsv", sep="\t")
    assert set(others) <= set(fidelity["target"])
    ranked = {
        name: pd.read_csv(folder / f"influence/{name}.tsv", sep="\t").set_index("row")
        for name in others
    }
    for table in ranked.values():
        assert np.isfinite(table["score"]).all()
        assert table["score"].std() > 0
    first, second = (
        ranked[name]["score"].sort_index() for name in ("neuron", "circuit")
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.99
    effects = pd.read_csv(folder / "evaluation/control_units.tsv", sep="\t")
    for name in ("neuron", "circuit"):
        own = effects[(effects["target"] == name) & (effects["arm"] != "baseline")]
        assert set(own["unit"]) == {others[name]}
        assert f"remove_{name}" in set(own["arm"])
        assert (own["probe_change"].abs() > 0).all()
    page = (folder / "report/index.html").read_text()
    assert all(f"{name} ({unit})" in page for name, unit in others.items())
    assert page.count("Pushes in:") == 20 * len(targets)


def test_a_stored_neuron_is_asked(finished) -> None:
    name, clone = finished
    words = ["L1N3", "--probe", "activation", "--data", "resources/probes/code.jsonl"]
    words += ["--writes", "--configfile", f"config/smoke-{name}.yaml"]
    command = [sys.executable, "scripts/ask.py", *words]
    asked = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    lines = asked.stdout.splitlines()
    ranked = pd.read_csv(results(finished) / "influence/neuron.tsv", sep="\t")
    assert int(lines[1].split()[1]) == ranked.nsmallest(1, "rank")["row"].item()
    assert "pushes in:" in lines[2]
    assert "pushes out:" in lines[3]


def test_a_head_that_shares_keys_and_values_is_shown_so(finished) -> None:
    name, clone = finished
    summary = (results(finished) / "report/summary.md").read_text()
    told = "shares its keys and values with" in " ".join(summary.split())
    assert told == SHARED[name]
    words = ["scripts/ask.py", "L1H3", "--probe", "induction", "--configfile"]
    command = [sys.executable, *words, f"config/smoke-{name}.yaml"]
    asked = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    line = "L1H3 shares its keys and values with L1H2;"
    assert (line in asked.stdout) == SHARED[name]


def test_what_a_head_shares_can_be_left_out(finished) -> None:
    name, clone = finished
    if not SHARED[name]:
        pytest.skip("its heads share nothing")
    config = yaml.safe_load((clone / f"config/smoke-{name}.yaml").read_text())
    config["gradients"]["mode"] = "qo"
    (clone / "config/own.yaml").write_text(yaml.safe_dump(config))
    wanted = f"results/smoke-{name}/influence/induction.tsv"
    before = pd.read_csv(clone / wanted, sep="\t").set_index("row")["score"]
    done = run(clone, wanted, config="config/own.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    after = pd.read_csv(clone / wanted, sep="\t").set_index("row")["score"]
    assert np.isfinite(after).all()
    assert abs(np.corrcoef(before, after[before.index])[0, 1]) < 0.999


def test_a_published_model_of_any_revision_is_scored(finished) -> None:
    """One model, which a folder holds under the name `main`; nothing is trained."""
    name, clone = finished
    config = yaml.safe_load((clone / f"config/smoke-{name}.yaml").read_text())
    (clone / "models/main").mkdir(parents=True)
    for file in ("config.json", "model.safetensors"):
        published = results(finished) / "checkpoints/step48" / file
        shutil.copy(published, clone / "models/main" / file)
    config["experiment"] = "published"
    config["checkpoints"] = {"folder": "models", "revisions": {"main": 0}}
    config["model"]["vocab_size"] = 300
    config["window"] |= {"start": 0, "end": 48}
    del config["arms"]
    (clone / "config/published.yaml").write_text(yaml.safe_dump(config))
    done = run(clone, config="config/published.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "train_baseline" not in done.stdout
    path = clone / "results/published/influence/induction.tsv"
    ranked = pd.read_csv(path, sep="\t")
    assert len(ranked) == 48 * config["training"]["batch_size"]
    assert np.isfinite(ranked["score"]).all()
    assert ranked["score"].std() > 0
