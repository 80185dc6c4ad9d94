"""Arms of every kind and the examination, on the finished smoke experiment."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zarr

from clone import jobs, run
from headwater.checkpoints.files import load_for_pass
from headwater.config import read_config_file
from headwater.gradients.files import read_probe_gradient
from headwater.gradients.flat import gradients_of
from headwater.gradients.passes import PassOptions
from headwater.heads.targets import open_window
from headwater.interventions.kinds import KINDS
from headwater.interventions.slopes import SLOPES
from headwater.interventions.tokens import MASKS
from headwater.models.sections import unit_of
from hub_server import serve
from test_proposals import Scripted, answered

pytestmark = pytest.mark.workflow

OWN = {
    "strata": {"strata": ["domain", "loss"]},
    "file": {"file": "mine.tsv"},
    "subset": {"strata": ["domain"], "draws": 2},
    "matched": {"match": ["domain", "loss", "repetition", "time"]},
}
FRESH = {"action": "generate", "target": "induction", "motifs": "mine.json"}
OWN |= {kind: FRESH for kind in KINDS if KINDS[kind].written}
MOTIFS = {
    "format": 1,
    "motifs": [
        {
            "name": "colon",
            "elements": [{"text": "("}, {"slot": "A"}, {"text": "): "}, {"slot": "A"}],
            "slots": {"A": {"length": [1, 3]}},
        }
    ],
}


@pytest.fixture(scope="module")
def built(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with an arm of every kind, none of them trained."""
    clone = tmp_path_factory.mktemp("built") / "clone"
    shutil.copytree(smoke_run, clone)
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text())
    config["arms"] = {
        kind: {"action": "remove", "rows": kind, "fraction": 0.1, **OWN.get(kind, {})}
        | ({"target": "induction"} if KINDS[kind].scored else {})
        for kind in KINDS
    }
    config["arms"]["top"]["fraction"] = [0.05, 0.1]
    config["arms"] |= {
        f"mask_{kind}": {"action": "mask", "rows": kind, "fraction": 0.1}
        | ({"target": "induction"} if KINDS[kind].scored else {})
        for kind in MASKS
    }
    slope = {"action": "reweight", "target": "induction", "fraction": 0.1}
    config["arms"] |= {f"reweight_{kind}": {**slope, "rows": kind} for kind in SLOPES}
    (clone / "config/every.yaml").write_text(yaml.safe_dump(config))
    rows = [str(row) for row in range(383, 343, -1)]
    (clone / "mine.tsv").write_text("\n".join(["row", *rows]))
    (clone / "mine.json").write_text(json.dumps(MOTIFS))
    motifs = "results/smoke/catalysts/induction.motifs.json"
    done = run(
        clone, "interventions", "examination", motifs, config="config/every.yaml"
    )
    assert done.returncode == 0, done.stdout[-4000:]
    (clone / "done.txt").write_text(done.stdout)
    return clone


def picked(clone: Path, run_name: str) -> np.ndarray:
    with h5py.File(clone / f"results/smoke/interventions/{run_name}.h5") as file:
        return file["picked"][...]


def test_what_arms_pick_by_is_measured_once_and_nothing_else(built: Path) -> None:
    done = jobs((built / "done.txt").read_text())
    assert done["measure_text"] == done["compare_rows"] == 1
    assert done["measure_lexical"] == done["measure_gradients"] == done["examine"] == 2
    assert done["build_arm"] == len(KINDS) + 2 + len(MASKS) + len(SLOPES)
    assert done["measure_tokens"] == 1
    assert not {"retrain_arm", "row_gradients", "score_rows"} & {*done}


def test_every_kind_has_its_rows(built: Path) -> None:
    names = [kind for kind in KINDS if kind != "top"] + ["top_10pct"]
    assert {len(picked(built, f"{name}-seed0")) for name in names} == {26}
    assert len(picked(built, "top_5pct-seed0")) == 13
    assert picked(built, "file-seed0").tolist() == list(range(230, 256))
    top = picked(built, "top_10pct-seed0")
    for kind in (kind for kind in KINDS if KINDS[kind].written):
        path = built / f"results/smoke/interventions/{kind}-seed0.h5"
        with h5py.File(path) as file:
            rows, tokens = file["rows"][...], file["fresh/tokens"][...]
            assert json.loads(file["fresh/sources"][()])[0] == (
                f"{kind}: colon of mine.json"
            )
        assert tokens.shape == (26, 33)
        assert sorted(rows[rows >= 256]) == [*range(256, 282)]
    assert not np.intersect1d(top, picked(built, "matched-seed0")).size


def test_tokens_add_up_to_their_rows_scores_and_the_highest_are_masked(
    built: Path,
) -> None:
    results = built / "results/smoke"
    with h5py.File(results / "interventions/facts/induction.tokens.h5") as file:
        parts, losses = file["token_score"][...], file["token_loss"][...]
    group = zarr.open_group(results / "influence/induction.zarr", mode="r")
    scores, own = group["scores"][...], group["losses"][...]
    np.testing.assert_allclose(losses.sum(axis=1), own, rtol=1e-4)
    # Stored scores are of gradients in codes of a few bits.
    assert np.corrcoef(parts.sum(axis=1), scores)[0, 1] > 0.99
    with h5py.File(results / "interventions/mask_top-seed0.h5") as file:
        masked = file["weights"][...] == 0
    assert masked.shape == parts.shape
    assert masked.mean() == pytest.approx(0.1, abs=0.01)
    assert (parts[~masked] > parts[masked].min()).mean() < 0.01  # padding alone


def test_an_arm_of_masked_tokens_trains(built: Path) -> None:
    """Its first step sees fewer losses, so its weights are not the baseline's."""
    arm = "results/smoke/retraining/mask_top-seed0"
    done = run(built, arm, config="config/every.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    assert sorted(path.name for path in (built / arm).glob("step*"))


def test_as_much_weight_is_taken_as_rows_are_removed(built: Path) -> None:
    results = built / "results/smoke"
    group = zarr.open_group(results / "influence/induction.zarr", mode="r")
    scores, weights = group["scores"][...], {}
    for kind in SLOPES:
        with h5py.File(results / f"interventions/reweight_{kind}-seed0.h5") as file:
            weights[kind] = file["weights"][...]
            assert file["rows"][...].tolist() == [*range(len(scores))]
    taken = {kind: (1 - own.astype(float)).sum() for kind, own in weights.items()}
    assert taken == pytest.approx(dict.fromkeys(SLOPES, 26), abs=1e-4)
    assert ((weights["top"] < 1) == (scores > 0)).all()
    assert (
        sorted(weights["random"]) == sorted(weights["loss"]) == sorted(weights["top"])
    )


def test_the_match_is_tabulated(built: Path) -> None:
    table = pd.read_csv(built / "results/smoke/interventions/match.tsv", sep="\t")
    scored = {name for name, kind in KINDS.items() if kind.scored}
    controls = {name for name in scored if KINDS[name].role == "control"}
    assert {*table["arm"]} == controls
    matched = table[table["arm"] == "matched"].set_index("fact")
    assert matched["distance"]["domain"] == 0
    assert {"loss", "repetition", "time", "score"} <= {*matched.index}
    assert (table[table["arm"] == "matched"]["overlap"] == 0).all()


def test_facts_of_gradients_are_those_of_the_exact_ones(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built)
    config, results = read_config_file("config/every.yaml"), Path("results/smoke")
    shards = [results / f"corpus/000{shard}.zarr" for shard in (0, 1)]
    _, window = open_window(results / "heads/window.json", shards, config)
    device = torch.device("cpu")
    model = load_for_pass(results / "heads/start", config, device, "exact")
    probe = read_probe_gradient(results / "gradients/start/induction.h5", config)
    unit = unit_of(probe.unit, config)
    product = torch.cat([probe.gradient[str(b)].flatten() for b in unit.blocks])
    dots, norms = [], []
    rows = window.part(range(len(window)))
    for _, gradients in gradients_of(model, rows, [unit], PassOptions(64)):
        own = gradients[unit].double()
        dots.append(-(own @ product))
        norms.append(own.norm(dim=1))
    path = results / "interventions/facts/induction.gradients.h5"
    with h5py.File(path) as file:
        found = {name: file[name][...] for name in file}
    wanted = torch.cat(norms).numpy()
    assert np.abs(found["gradient_norm"] / wanted - 1).mean() < 0.1
    assert np.corrcoef(found["gradient_dot"], torch.cat(dots).numpy())[0, 1] > 0.9


def test_rankings_are_examined(built: Path) -> None:
    for target in ("induction", "previous_token"):
        path = built / f"results/smoke/influence/{target}.examination.tsv"
        table = pd.read_csv(path, sep="\t").set_index("ranking")
        names = "mda loss gzip rarity repetition lexical gradient_norm gradient_dot"
        assert {*table.index} == {*names.split()}
        assert table["auc_all"].between(0, 1).all()
        assert table["auc_all"]["repetition"] > 0.9  # nothing else repeats here


def test_a_service_is_asked_for_motifs_and_not_believed(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of chance: no proposal can be borne out, and nothing is written."""
    proposed = {"motifs": [{"elements": [{"text": "the "}, {"slot": "A"}]}]}
    monkeypatch.setattr(Scripted, "answers", [answered(json.dumps(proposed))])
    monkeypatch.setattr(Scripted, "asked", [])
    words = ["induction", "--model", "m", "--output", "proposed.json"]
    with serve(tmp_path, Scripted) as server:
        script = [sys.executable, "scripts/propose.py", *words, "--url", server.url]
        done = subprocess.run(
            [*script, "--configfile", "config/every.yaml"],
            cwd=built,
            env={**os.environ, "OPENAI_API_KEY": "sk-none"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "nothing was written" in done.stderr.splitlines()[-1]
    assert not (built / "proposed.json").exists()
    assert "sk-none" not in done.stdout + done.stderr
    [(path, key, body)] = Scripted.asked
    assert (path, key) == ("/chat/completions", "Bearer sk-none")
    assert len(json.loads(json.loads(body)["messages"][-1]["content"])["top rows"]) > 9
