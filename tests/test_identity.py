"""What results depend on, and the refusal of results of another config."""

import copy
import json
from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.identity import (
    FORMAT,
    SECTIONS,
    arm_identity,
    check_identity,
    identity,
    picked_identity,
)
from headwater.interventions.scores import SMOOTHED, THROUGH

CONFIG = {
    "experiment": "test",
    "seed": 0,
    "corpus": {"seq_len": 16, "tokenizer": {"vocab_size": 300}},
    "model": {"hidden_size": 16},
    "training": {"steps": 10, "betas": [0.9, 0.95]},
    "heads": {"sequences": 4},
    "targets": {
        "induction": {"probe": "induction", "head": "auto"},
        "copies": {"probe": "copying", "head": "L0H1"},
    },
    "window": {"target": "induction", "start": "auto"},
    "curvature": {"rows": 10},
    "gradients": {"mode": "qkvo"},
    "influence": {"method": "projected", "damping": 0.1},
    "arms": {
        "top": {"action": "remove", "rows": "top", "target": "induction"},
        "domain": {"action": "remove", "rows": "domain", "target": "copies"},
        "random": {"action": "remove", "rows": "random"},
    },
    "retraining": {"divisor": "fixed"},
    "metagradient": {"metric": "mean", "space_gb": 2.0, "segment": 100, "draws": 4},
    "evaluation": {"early_tokens": 8},
    "report": {"rows": 10},
}
STORE = Path("results/test/store.zarr")


def changed(key: str, value: object) -> dict:
    config = copy.deepcopy(CONFIG)
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section[name]
    section[last] = value
    return config


def is_stale(found: dict, config: dict) -> bool:
    try:
        check_identity(json.loads(json.dumps(found)), config, STORE)
    except HeadwaterError:
        return True
    return False


# A change of the key makes these stages stale, in the order of the workflow.
CHANGES = {
    "seed": 1,
    "corpus.seq_len": 32,
    "model.hidden_size": 32,
    "training.steps": 20,
    "heads.sequences": 8,
    "targets.induction.head": "L0H0",  # whose curve the window is found in
    "window.start": 4,
    "curvature.rows": 20,
    "gradients.mode": "qk",
    "influence.damping": 0.2,
}
FIRST_STALE = {
    "seed": "corpus",
    "corpus.seq_len": "corpus",
    "model.hidden_size": "checkpoints",
    "training.steps": "checkpoints",
    "heads.sequences": "heads",
    "targets.induction.head": "window",
    "window.start": "window",
    "curvature.rows": "curvature",
    "gradients.mode": "gradients",
    "influence.damping": "influence",
}


@pytest.mark.parametrize("key", list(CHANGES))
def test_a_change_makes_its_own_stage_and_all_later_ones_stale(key):
    stages = ["corpus", "checkpoints", "heads", "window", "curvature", "gradients"]
    stages.append("influence")
    assert {*stages, "ranking", "probe", *THROUGH} == set(SECTIONS)
    config = changed(key, CHANGES[key])
    stale = [stage for stage in stages if is_stale(identity(stage, CONFIG), config)]
    assert stale == stages[stages.index(FIRST_STALE[key]) :]


@pytest.mark.parametrize("key", list(CHANGES))
def test_the_gradient_of_a_probe_needs_no_curvature(key):
    """A fit that ran out of memory is tried again with other rows: probes stay."""
    config = changed(key, CHANGES[key])
    stale = is_stale(identity("probe", CONFIG), config)
    before = is_stale(identity("gradients", CONFIG), config)
    assert stale == (before and not key.startswith("curvature."))


@pytest.mark.parametrize("score", THROUGH)
@pytest.mark.parametrize("key", list(CHANGES))
def test_a_metagradient_needs_no_store(key, score):
    config = changed(key, CHANGES[key])
    stale = is_stale(identity(score, CONFIG), config)
    assert stale == is_stale(identity("probe", CONFIG), config)


@pytest.mark.parametrize(
    ("key", "value", "scores"),
    [
        ("metagradient.segment", 50, ["segments"]),
        ("metagradient.draws", 5, ["subsets", "path", "orders"]),
    ],
)
def test_only_what_is_smoothed_so_knows_how(key, value, scores):
    config, names = changed(key, value), [SMOOTHED[name] for name in scores]
    assert [s for s in SECTIONS if is_stale(identity(s, CONFIG), config)] == names
    for score in THROUGH:
        by_score = {**CONFIG["arms"]["top"], "score": score}
        before = changed("arms.top", by_score)
        after = {**before, "metagradient": config["metagradient"]}
        stale = is_stale(picked_identity(before, "top", 0), after)
        assert stale == (score in names)
        ranked = changed("influence.method", score)
        after = {**ranked, "metagradient": config["metagradient"]}
        assert is_stale(identity("ranking", ranked), after) == (score in names)
    with pytest.raises(HeadwaterError, match=rf"{key} is .* there, {value} here"):
        check_identity(identity(names[0], CONFIG), config, STORE)


def test_a_metagradient_of_a_config_without_smoothing_stays():
    """Results from before there was any are as good as they were."""
    found = identity("metagradient", CONFIG)
    assert found["settings"]["metagradient"] == {"metric": "mean"}


def test_a_metagradient_knows_what_is_differentiated():
    for key, value in (("metagradient.metric", "end"), ("retraining.divisor", "kept")):
        config = changed(key, value)
        stages = [s for s in SECTIONS if is_stale(identity(s, CONFIG), config)]
        whole = [s for s in THROUGH if s != SMOOTHED["segments"]]
        assert stages == (whole if key == "metagradient.metric" else [*THROUGH])
        by_meta = changed("influence.method", "metagradient")
        ranked = {**by_meta, "metagradient": config["metagradient"]}
        ranked["retraining"] = config["retraining"]
        assert is_stale(identity("ranking", by_meta), ranked)
        assert not is_stale(identity("influence", by_meta), ranked)
        by_score = {**CONFIG["arms"]["top"], "score": "metagradient"}
        config["arms"], before = {"top": by_score}, changed("arms.top", by_score)
        assert is_stale(picked_identity(before, "top", 0), config)
        plain = changed(key, value)
        assert not is_stale(picked_identity(CONFIG, "top", 0), plain)


@pytest.mark.parametrize(
    "key",
    ["curvature.batch_size", "gradients.batch_size", "metagradient.space_gb"],
)
def test_a_batch_size_makes_nothing_stale(key):
    config = changed(key, 7)
    assert not any(is_stale(identity(stage, CONFIG), config) for stage in SECTIONS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("experiment", "x"), ("report.rows", 3), ("evaluation.early_tokens", 4)],
)
def test_no_stage_minds_what_it_does_not_read(key, value):
    config = changed(key, value)
    assert not any(is_stale(identity(stage, CONFIG), config) for stage in SECTIONS)


# Targets


def with_target(config: dict) -> dict:
    """The config with one more target, of another probe."""
    more = {"probe": "previous_token", "head": "L1H1"}
    return {**config, "targets": {**config["targets"], "more": more}}


@pytest.mark.parametrize("stage", list(SECTIONS))
@pytest.mark.parametrize("targets", [[], ["induction"], ["copies"]])
def test_a_new_target_leaves_all_results_as_they_are(stage, targets):
    """So with any `gradients.units` but `targets`, the store is not made again."""
    found = identity(stage, CONFIG, targets, shard="0000")
    assert not is_stale(found, with_target(CONFIG))


@pytest.mark.parametrize("stage", ["heads", "gradients", "influence"])
def test_a_changed_target_makes_its_own_results_stale_and_no_others(stage):
    config = changed("targets.copies.probe", "previous_token")
    assert is_stale(identity(stage, CONFIG, ["copies"]), config)
    assert is_stale(identity(stage, CONFIG, ["induction", "copies"]), config)
    assert not is_stale(identity(stage, CONFIG, ["induction"]), config)
    assert not is_stale(identity(stage, CONFIG), config)


def test_a_target_that_is_gone_makes_its_own_results_stale():
    config = copy.deepcopy(CONFIG)
    del config["targets"]["copies"]
    assert is_stale(identity("influence", CONFIG, ["copies"]), config)
    assert not is_stale(identity("influence", CONFIG, ["induction"]), config)


def test_what_depends_on_the_window_depends_on_its_target():
    config = changed("targets.induction.head", "L0H0")
    for stage in ("window", "curvature", "gradients", "influence"):
        assert is_stale(identity(stage, CONFIG), config)
        assert is_stale(identity(stage, CONFIG, ["copies"]), config)
    assert not is_stale(identity("heads", CONFIG, ["copies"]), config)


def test_the_refusal_of_a_target_names_its_key():
    with pytest.raises(HeadwaterError) as caught:
        check_identity(
            identity("influence", CONFIG, ["copies"]),
            changed("targets.copies.head", "L1H0"),
            STORE,
        )
    assert "targets.copies.head is 'L0H1' there, 'L1H0' here" in str(caught.value)


def test_the_order_of_targets_tells_nothing_apart():
    one = identity("influence", CONFIG, ["copies", "induction"])
    assert one == identity("influence", CONFIG, ["induction", "copies"])


# Arms

ARM_STAGES = ["interventions", "retraining", "evaluation"]  # by the rows' content
MATCH = "match"  # how they were picked


def made_as(stage: str, config: dict, arm: str, draw: int = 0) -> dict:
    if stage == MATCH:
        return picked_identity(config, arm, draw)
    return arm_identity(stage, config, arm, draw)


def stale_arms(config: dict, stage: str = MATCH) -> set[str]:
    arms = CONFIG["arms"]
    return {arm for arm in arms if is_stale(made_as(stage, CONFIG, arm), config)}


SCORING = [("influence.damping", 1), ("gradients.mode", "qk"), ("curvature.rows", 5)]


@pytest.mark.parametrize(("key", "value"), SCORING)
def test_only_arms_that_pick_by_score_depend_on_the_scores(key, value):
    assert stale_arms(changed(key, value)) == {"top", "domain"}


@pytest.mark.parametrize("stage", ARM_STAGES)
@pytest.mark.parametrize(
    ("key", "value"), [*SCORING, ("gradients.units", "all"), ("arms.top.rows", "loss")]
)
def test_what_is_trained_is_known_by_its_rows_and_not_by_how_they_were_picked(
    stage, key, value
):
    """The rows themselves are compared by the records of content, see `seals`."""
    assert stale_arms(changed(key, value), stage) == set()


@pytest.mark.parametrize("stage", [MATCH, *ARM_STAGES])
@pytest.mark.parametrize(
    ("key", "value"), [("window.start", 3), ("training.steps", 99), ("seed", 1)]
)
def test_every_arm_depends_on_the_window(stage, key, value):
    assert stale_arms(changed(key, value), stage) == set(CONFIG["arms"])


def test_an_arm_depends_on_its_own_settings_only():
    assert stale_arms(changed("arms.random.fraction", 0.2)) == {"random"}
    assert stale_arms(changed("arms.another", {"action": "insert"})) == set()
    without = copy.deepcopy(CONFIG)
    del without["arms"]["random"]
    assert stale_arms(without) == {"random"}


@pytest.mark.parametrize("stage", [MATCH, *ARM_STAGES])
def test_no_draw_of_an_arm_depends_on_how_many_there_are(stage):
    assert stale_arms(changed("arms.random.draws", 4), stage) == set()
    more, found = (changed("arms.random.draws", n) for n in (2, 3))
    assert not is_stale(made_as(stage, more, "random"), found)


def test_an_arm_depends_on_its_own_target_and_the_windows_only():
    assert stale_arms(with_target(CONFIG)) == set()
    assert stale_arms(changed("targets.copies.head", "L1H0")) == {"domain"}
    everything = set(CONFIG["arms"])
    assert stale_arms(changed("targets.induction.head", "L1H0")) == everything


def test_the_evaluation_of_an_arm_depends_on_every_target():
    everything = set(CONFIG["arms"])
    assert (
        stale_arms(changed("targets.copies.head", "L1H0"), "evaluation") == everything
    )
    assert stale_arms(with_target(CONFIG), "evaluation") == set()


@pytest.mark.parametrize(
    ("key", "value", "stale"),
    [
        ("retraining.divisor", "kept", ["retraining", "evaluation"]),
        ("evaluation.early_tokens", 4, ["evaluation"]),
        ("report.rows", 3, []),
    ],
)
def test_later_stages_of_an_arm_depend_on_more(key, value, stale):
    config = changed(key, value)
    stages = [MATCH, *ARM_STAGES]
    assert [stage for stage in stages if stale_arms(config, stage)] == stale


def test_identities_tell_siblings_apart():
    assert identity("gradients", CONFIG, shard="0000") != identity(
        "gradients", CONFIG, shard="0001"
    )
    assert identity("influence", CONFIG, ["copies"]) != identity(
        "influence", CONFIG, ["induction"]
    )
    stamps = [
        made_as(stage, CONFIG, arm, draw)
        for stage in (MATCH, *ARM_STAGES)
        for arm in CONFIG["arms"]
        for draw in (0, 1)
    ]
    texts = {json.dumps(stamp) for stamp in stamps}
    assert len(texts) == len(stamps)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "corpus.tokenizer.vocab_size",
            400,
            "corpus.tokenizer.vocab_size is 300 there, 400 here",
        ),
        (
            "corpus.tokenizer",
            {"name": "pythia"},
            "corpus.tokenizer.name is None there, 'pythia' here",
        ),
        (
            "training.betas",
            [0.9, 0.99],
            "training.betas is [0.9, 0.95] there, [0.9, 0.99] here",
        ),
        ("seed", 7, "seed is 0 there, 7 here"),
        ("corpus.new", True, "corpus.new is None there, True here"),
    ],
)
def test_the_refusal_names_file_key_and_both_values(key, value, words):
    with pytest.raises(HeadwaterError) as caught:
        check_identity(identity("checkpoints", CONFIG), changed(key, value), STORE)
    message = str(caught.value)
    assert message.startswith(f"{STORE}: made under another config: {words}; ")
    assert "\n" not in message


def test_the_refusal_of_an_arm_names_its_key():
    with pytest.raises(HeadwaterError, match=r"arms\.top\.rows is 'top' there, 'all'"):
        check_identity(
            picked_identity(CONFIG, "top", 0),
            changed("arms.top.rows", "all"),
            STORE,
        )


def test_another_format_is_refused_before_its_settings_are_read():
    for found in ({"format": FORMAT - 1, "other": 1}, {}):
        with pytest.raises(HeadwaterError) as caught:
            check_identity(found, CONFIG, STORE)
        wanted = f"{STORE}: format version {found.get('format')}, this Headwater reads"
        assert str(caught.value).startswith(wanted)
