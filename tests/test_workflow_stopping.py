"""A baseline that ends when its head has been found, with real Snakemake."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from clone import contents, make_clone, run

pytestmark = [pytest.mark.workflow, pytest.mark.long]


def test_a_run_ends_when_its_head_has_been_found(tmp_path: Path) -> None:
    """`copying` is a score that models trained for a few steps have."""
    clone = make_clone(tmp_path)
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text())
    config["targets"]["copying"] = {"probe": "copying", "head": "auto"}
    config["corpus"] |= {"packing": "document"}
    config["corpus"]["tokenizer"]["split_digits"] = True
    config["training"] |= {"stop": {"after": 8}, "precision": "bf16"}
    config["window"] = {"target": "copying"}
    (clone / "config/stops.yaml").write_text(yaml.safe_dump(config))
    done = run(clone, "heads", config="config/stops.yaml")
    assert done.returncode == 0, done.stdout[-4000:]

    folder = clone / "results/smoke/checkpoints"
    ended = {path.parent.name for path in folder.glob("step*/ended.json")}
    steps = {path.name for path in folder.glob("step*")} - ended
    last = max(int(name.removeprefix("step")) for name in steps)
    assert "step48" in ended, "the run went on to training.steps"
    assert all(int(name.removeprefix("step")) > last for name in ended)
    marker = json.loads((folder / "step48/ended.json").read_text())
    assert marker == {"ended_at_step": last}

    scores = pd.read_csv(clone / "results/smoke/heads/scores.tsv", sep="\t")
    assert scores["step"].max() == last
    found = scores[scores["copying"] >= 0.3]["step"].min()
    every = config["training"]["checkpoint_every"]
    assert found + 8 <= last < found + 8 + every
    window = json.loads((clone / "results/smoke/heads/window.json").read_text())
    assert window["window"]["end"] <= last

    before = contents(clone)
    again = run(clone, "heads", config="config/stops.yaml")
    assert "train_baseline" not in again.stdout
    assert contents(clone) == before
