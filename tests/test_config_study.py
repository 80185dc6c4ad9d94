"""The members of a study, as the config names them."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.config import load_config
from headwater.config.study import members
from headwater.problems import ConfigError

ROOT = Path(__file__).parent.parent
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())


def load(study: Any, **changes: Any) -> dict[str, Any]:
    raw = copy.deepcopy(SMOKE) | changes | {"study": study}
    return load_config(raw, "c.yaml", ROOT)


def problems(study: Any, **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(study, **changes)
    return str(caught.value).split("\n")


def names(config: dict[str, Any]) -> dict[str, str]:
    return {name: one["experiment"] for name, one in members(config).items()}


def test_without_a_study_there_are_no_members() -> None:
    assert members(load({})) == {}


def test_the_member_that_is_the_config_itself_keeps_its_results() -> None:
    config = load({"seeds": [2, 0, 11]})
    found = {"seed2": "smoke-seed2", "seed0": "smoke", "seed11": "smoke-seed11"}
    assert names(config) == found
    for seed, member in zip([2, 0, 11], members(config).values(), strict=True):
        assert member["seed"] == seed
        same = {"experiment", "seed"}
        rest = {key: value for key, value in config.items() if key not in same}
        assert all(member[key] == rest[key] for key in rest if key != "study")
        assert "study" not in member


def test_orders_leave_everything_else_as_it_is() -> None:
    config = load({"orders": [0, 1]})  # its seed is 0
    assert names(config) == {"order0": "smoke", "order1": "smoke-order1"}
    other = members(config)["order1"]
    assert other["corpus"] == {**config["corpus"], "order": 1}
    assert other["seed"] == 0
    corpus = {**SMOKE["corpus"], "order": 1}
    assert names(load({"orders": [0, 1]}, corpus=corpus)) == {
        "order0": "smoke-order0",
        "order1": "smoke",
    }


def test_models_change_keys_of_the_model_and_of_its_training() -> None:
    models = {"small": {}, "deep": {"model": {"num_hidden_layers": 3}}}
    models["long"] = {"training": {"learning_rate": 0.001}}
    config = load({"models": models})
    assert names(config) == {
        "small": "smoke",
        "deep": "smoke-deep",
        "long": "smoke-long",
    }
    found = members(config)
    assert found["deep"]["model"] == {**config["model"], "num_hidden_layers": 3}
    assert found["long"]["training"]["learning_rate"] == 0.001
    assert found["long"]["training"]["steps"] == 48


def test_a_member_is_a_config_like_any_other() -> None:
    """Its file is read again, and its results are those of the config it came from."""
    for member in members(load({"seeds": [0, 3]})).values():
        again = load_config(member, "seed3.yaml", ROOT)
        assert {**again, "study": {}} == again
        assert {key: again[key] for key in member} == member


@pytest.mark.parametrize(
    ("study", "changes", "wrong"),
    [
        ({"seeds": [1], "orders": [1]}, {}, "study: expected one of"),
        ({"seeds": [1, 1]}, {}, "study.seeds: expected a list of seeds, each once"),
        ({"seeds": 3}, {}, "study.seeds: expected a list of seeds"),
        ({"seeds": [-1]}, {}, "study.seeds[0]: expected an integer >= 0"),
        ({"seds": [1]}, {}, 'study.seds: unknown key; did you mean "seeds"?'),
        ({"models": {"Big": {}}}, {}, "study.models.Big: expected a name"),
        (
            {"models": {"big": {"model": {"hidden_sise": 64}}}},
            {},
            "study.models.big: model.hidden_sise: unknown key; did you mean",
        ),
        (
            {"models": {"big": {"model": {"hidden_size": 33}}}},
            {},
            "study.models.big: model.hidden_size: 33 is no multiple",
        ),
        (
            {"seeds": [12345]},
            {"experiment": "x" * 95},
            "experiment: the longest name of a member has 105 characters",
        ),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_line(study, changes, wrong) -> None:
    (line,) = problems(study, **changes)
    assert line.startswith(f"c.yaml: {wrong}")


def test_what_a_source_with_an_order_of_its_own_can_vary() -> None:
    raw = yaml.safe_load((ROOT / "config/pythia-14m.yaml").read_text())
    raw["corpus"]["order"] = 3
    (line,) = problems({"models": {"same": {}}}, **raw)
    assert line.startswith("c.yaml: corpus.order: a source of token ids is in")
    del raw["corpus"]["order"]
    (line,) = problems({"orders": [1]}, **raw)
    assert line.startswith("c.yaml: study.orders: a source of token ids has one")
    (line,) = problems({"seeds": [1]}, **raw)
    assert line.startswith("c.yaml: study.seeds: neither the rows nor a published")


def test_published_revisions_have_nothing_to_compare() -> None:
    raw = yaml.safe_load((ROOT / "config/pythia-14m.yaml").read_text())
    del raw["arms"], raw["checkpoints"]["start"]
    raw["checkpoints"]["revisions"] = ["step512", "step1000", "step2000"]
    lines = problems({"models": {"same": {}}}, **raw)
    assert any("study: published revisions have no arms" in line for line in lines)
