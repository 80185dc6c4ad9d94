"""Questions that cannot be answered: no stores yet, or few coordinates."""

from dataclasses import replace

import numpy as np
import pytest

from headwater import seals
from headwater.errors import HeadwaterError
from headwater.heads.targets import Target, write_choice
from headwater.identity import identity
from headwater.influence.files import write_tokens
from headwater.influence.query import Experiment
from headwater.influence.question import Question
from test_heads import CONFIG
from tiny import unit

NAME = next(iter(CONFIG["targets"]))


def experiment(folder, coordinates) -> Experiment:
    """An experiment of which only the choice of its targets is there."""
    config = {**CONFIG, "gradients": {"coordinates": coordinates}}
    (folder / "heads" / "targets").mkdir(parents=True)
    for name, target in config["targets"].items():
        unit = "L1H1", "head", "L1H1"
        chosen = target["probe"], *unit, "auto", "prefix_matching"
        found = Target(*chosen, 0.5, None, {}, True)
        path = folder / "heads" / "targets" / f"{name}.json"
        write_choice(path, found, identity("heads", config, [name]))
        seals.write(path, {}, "heads/select_target")
    opened = object.__new__(Experiment)
    opened.results, opened.config = folder, config
    return opened


def test_the_targets_own_question_is_answered_and_no_other(tmp_path):
    few = experiment(tmp_path, 1000)
    probe = CONFIG["targets"][NAME]["probe"]
    few._check_kept(unit("L1H1"), {"probe": probe})
    for label, target in (
        ("L1H0", {"probe": probe}),
        ("L1H1+L1H0", {"probe": probe}),
        ("L1H1", {"probe": "prefix_matching"}),
        ("L1H1", {"probe": "dataset", "data": "x.jsonl"}),
        ("L1H1", None),
    ):
        with pytest.raises(HeadwaterError, match="the stores keep 1000 coordinates"):
            few._check_kept(unit(label), target)


def test_a_store_of_all_coordinates_answers_everything(tmp_path):
    experiment(tmp_path, "all")._check_kept(unit("L0H0"), {"probe": "copying"})


def test_an_experiment_without_stores_says_what_to_type(tmp_path):
    config = {**CONFIG, "gradients": {"shards": 2}}
    (tmp_path / "heads").mkdir()
    (tmp_path / "gradients/start").mkdir(parents=True)
    for name in (
        "heads/window.json",
        "gradients/start/0000.zarr",
        "gradients/start/0001.zarr",
    ):
        with pytest.raises(HeadwaterError) as error:
            Experiment(tmp_path, config, "config/mine.yaml")
        assert str(error.value) == (
            f"{tmp_path / name}: not there, or no longer; run `.venv/bin/snakemake "
            "--cores all gradients --configfile config/mine.yaml` first"
        )
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("change", "own"),
    [
        ({}, True),
        ({"damping": 0.5}, False),
        ({"probe": "copying"}, False),
        ({"data": "x.jsonl"}, False),
        ({"name": ""}, False),
    ],
)
def test_only_a_targets_own_question_has_a_stored_product(change, own):
    opened = object.__new__(Experiment)
    opened.config = {**CONFIG, "influence": {"damping": 0.1}}
    probe = CONFIG["targets"][NAME]["probe"]
    question = Question(unit("L1H1"), probe, None, 0.1, NAME)
    assert opened._is_own(replace(question, **change)) == own


def test_parts_of_a_targets_own_question_are_those_that_are_stored(tmp_path):
    opened = experiment(tmp_path, "all")
    rest = {"curvature": {}, "influence": {"damping": 0.1}}
    opened.config = {**opened.config, **rest}
    probe = CONFIG["targets"][NAME]["probe"]
    question = Question(unit("L1H1"), probe, None, 0.1, NAME)
    assert opened.stored_parts(question, [3]) == []
    path = tmp_path / "influence" / f"{NAME}.tokens.h5"
    path.parent.mkdir()
    parts = np.arange(6, dtype=np.float32).reshape(2, 3)
    stamp = identity("influence", opened.config, [NAME], target=NAME)
    written = np.zeros((2, 2, 1), np.int64)
    write_tokens(path, np.array([3, 8]), parts, written, stamp)
    seals.write(path, {}, "influence/score_tokens")
    found = opened.stored_parts(question, [8, 3])
    np.testing.assert_array_equal(found, parts[::-1])
    assert opened.stored_parts(question, [8, 4]) == []
    other = replace(question, damping=0.5)
    assert opened.stored_parts(other, [3]) == []
