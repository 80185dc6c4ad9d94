"""Arms of fresh rows: what is written, where it stands, what it is compared with."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from headwater.catalysts.fresh import fresh_rows
from headwater.catalysts.skeleton import as_text
from headwater.catalysts.written import WRITERS, without_repeats
from headwater.config import load_config
from headwater.config.study import members
from headwater.corpus.window import WindowRows
from headwater.errors import HeadwaterError
from headwater.evaluation.verdicts import claims, controls_of
from headwater.identity import arm_identity, identity, picked_identity
from headwater.interventions.arms import arm_rows
from headwater.interventions.files import FreshRows, read_arm, read_fresh, write_arm
from headwater.interventions.kinds import KINDS, motifs_of
from headwater.interventions.places import places_of
from headwater.library.retrained import FRESH, arm_table
from headwater.library.selection import of_arm
from headwater.plan.dag import count_jobs
from headwater.plan.experiment import NO_SOURCES, Experiment
from headwater.report import words
from headwater.report.page.effects import uncontrolled
from headwater.study.transfer import motif_members
from headwater.training.batches import arm_batches
from small_run import SmallRun
from test_config import base, changed, problems
from test_config_arms import load
from test_corpus_support import small_config
from test_motifs import program, read

assert base  # a fixture

ROOT = Path(__file__).parents[1]
WRITTEN = [name for name, kind in KINDS.items() if kind.written]
ARM = {"action": "generate", "rows": "motifs", "target": "induction", "fraction": 0.1}
UNIFORM = np.arange(1, 301) / 300
WIDTH = 65


def writer(folder: Path, kind: str, seed: int = 0, **changes):
    programs = read(folder, program(**changes))
    return WRITERS[kind](programs, WIDTH, UNIFORM, seed)


# What is written


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_row_depends_on_its_number_and_the_seed_alone(tmp_path, kind):
    many, origin = writer(tmp_path, kind).rows(0, 200)
    some, _ = writer(tmp_path, kind).rows(60, 20)
    assert many.shape == (200, WIDTH)
    assert not origin.any()
    assert many[60:80].tobytes() == some.tobytes()
    assert len({row.tobytes() for row in many}) == 200
    other, _ = writer(tmp_path, kind, seed=1).rows(60, 20)
    assert (other != some).any()


def test_a_record_is_random_tokens_that_repeat_over_the_motifs_lengths(tmp_path):
    rows, _ = writer(tmp_path, "records").rows(0, 400)
    periods = []
    for row in rows:
        same = [p for p in range(1, WIDTH) if (row[p:] == row[:-p]).all()]
        periods.append(min(same))
    # <{A}>={B};{A}: 4 fixed, twice 1 to 3, 2, and a gap of 0 to 4.
    assert min(periods) == 8
    assert max(periods) == 16
    assert {*periods} == {*range(8, 17)}


def test_slots_that_are_shuffled_repeat_no_more_than_by_chance(tmp_path):
    again = {}
    for kind in ("motifs", "shuffled"):
        values = {"A": {"length": [2, 3], "again": 0.9}, "B": {"length": [2, 2]}}
        rows, _ = writer(tmp_path, kind, slots=values, gap=[0, 0]).rows(0, 100)
        [own] = read(tmp_path, program(slots=values, gap=[0, 0]))
        if kind == "shuffled":
            own = without_repeats(own)
            assert own.skeleton.slots == ["A_0", "B_1", "A_2"]
        found = [[*own.skeleton.find(as_text(row))] for row in rows]
        pairs = [p for places in found for p in itertools.pairwise(places)]
        first = own.skeleton.slots[0]
        same = [one.fills[first] == two.fills[first] for one, two in pairs]
        again[kind] = np.mean(same)
        assert len(same) > 300
    assert again["motifs"] > 0.85
    assert again["shuffled"] < 0.02


def test_rows_that_stand_in_training_are_left_out(tmp_path):
    own = writer(tmp_path, "motifs")
    rows, _ = own.rows(0, 40)
    asked = np.dtype(np.uint16)
    found, origin, refused = fresh_rows(
        own, lambda: iter([rows[::2]]), 40, WIDTH // 2, asked, "wait"
    )
    assert found.shape == (40, WIDTH)
    assert found.dtype == asked
    assert len(origin) == 40
    assert refused == 20
    kept = {row.tobytes() for row in found.astype(np.int64)}
    assert not kept & {row.tobytes() for row in rows[::2]}
    assert kept > {row.tobytes() for row in rows[1::2]}
    everything, _ = own.rows(0, 1000)
    with pytest.raises(HeadwaterError, match=r"180 of 180 rows share .* or wait"):
        fresh_rows(own, lambda: iter([everything]), 60, WIDTH // 2, asked, "wait")


# Where it stands


class Tokens(WindowRows):
    """A window whose rows are in memory."""

    def __init__(self, start: int, steps: int, size: int) -> None:
        self.start, self.batch_size, self.count = start, size, steps * size
        self.own = np.arange(self.count * 5).reshape(-1, 5)
        self.rows = SimpleNamespace(width=5)

    def take(self, numbers):
        return self.own[numbers]


def window(start: int = 10, steps: int = 25, size: int = 8) -> Tokens:
    return Tokens(start, steps, size)


def made(count: int, own: Tokens, **keys):
    picked = len(own) + np.arange(count)
    places = places_of({**ARM, **keys}, own, count)
    stream = np.random.default_rng(0)
    return arm_rows("generate", picked, len(own), stream, places)


def test_fresh_rows_stand_at_random_places_or_from_a_step_on():
    own = window()
    arm = made(20, own)
    replaced = np.flatnonzero(arm.rows >= len(own))
    assert len(replaced) == 20
    assert (np.diff(replaced) > 1).any()
    assert sorted(arm.rows[replaced]) == arm.picked.tolist()
    kept = np.setdiff1d(np.arange(len(own)), replaced)
    np.testing.assert_array_equal(arm.rows[kept], kept)
    assert (arm.weights == 1).all()
    from_step = made(20, own, at=12)
    replaced = np.flatnonzero(from_step.rows >= len(own))
    assert replaced.tolist() == [*range(16, 36)]


@pytest.mark.parametrize("at", [9, 33, 35])
def test_rows_that_do_not_fit_after_the_step_are_refused(at):
    with pytest.raises(HeadwaterError, match=f"20 rows from step {at} on are not all"):
        made(20, window(), at=at)


def test_the_trainer_gets_their_tokens_from_the_arm(tmp_path):
    own, config = window(), small_config()
    arm = made(20, own, at=12)
    tokens = 7000 + np.arange(100, dtype=np.uint16).reshape(20, 5)
    fresh = FreshRows(tokens, np.arange(20) % 2, ["a: <b>", "c"])
    write_arm(tmp_path / "a.h5", arm, identity("corpus", config), fresh)
    assert read_arm(tmp_path / "a.h5", config).rows.tolist() == arm.rows.tolist()
    found = read_fresh(tmp_path / "a.h5", config)
    assert found is not None
    np.testing.assert_array_equal(found.tokens, tokens)
    assert found.tokens.dtype == np.uint16
    assert found.sources == fresh.sources
    batch = arm_batches(own, arm, own.start, found)
    assert batch(11)[0].tolist() == own.own[8:16].tolist()
    trained = np.concatenate([batch(step)[0].numpy() for step in (12, 13, 14)])
    order = arm.rows[16:36] - len(own)
    np.testing.assert_array_equal(trained[:20], tokens[order])
    np.testing.assert_array_equal(trained[20:], own.own[36:40])
    write_arm(tmp_path / "b.h5", arm, identity("corpus", config))
    assert read_fresh(tmp_path / "b.h5", config) is None


def test_the_library_says_which_rows_are_fresh_and_exports_none(tmp_path):
    run = SmallRun(tmp_path / "run")
    name = "insert_random-seed0"
    made = arm_rows("generate", 64 + np.arange(5), 64, np.random.default_rng(0))
    fresh = FreshRows(np.zeros((5, 17), np.uint16), np.arange(5) % 2, ["a", "b <i>"])
    stamp = arm_identity("interventions", run.config, "insert_random", 0)
    path = tmp_path / f"run/interventions/{name}.h5"
    write_arm(path, made, stamp, fresh)
    table = arm_table(path, run.config, range(24, 88))
    own = table[table["row"] == FRESH]
    assert len(own) == 5
    assert sorted(own["source"]) == ["a", "a", "a", "b <i>", "b <i>"]
    assert own["picked"].all()
    assert (table["source"] == "").sum() == 59
    arms = run.config["arms"]
    results = SimpleNamespace(arm_rows=lambda _: table, arms=arms)
    with pytest.raises(HeadwaterError, match="5 of its rows were written afresh and"):
        of_arm(results, name, None)


# In the config


def test_motifs_are_of_a_file_of_this_run_or_of_another():
    named = motifs_of(ARM, "mine")
    assert named == "results/mine/catalysts/induction.motifs.json"
    other = motifs_of({**ARM, "motifs_of": "small"}, "mine")
    assert other == "results/small/catalysts/induction.motifs.json"
    assert motifs_of({**ARM, "motifs": "own.json"}, "mine") == "own.json"
    assert motifs_of({"rows": "random"}, "mine") is None


@pytest.mark.parametrize(
    ("arm", "line"),
    [
        ({"rows": "motivs"}, 'rows: no kind of rows "motivs"; did you mean "motifs"?'),
        (
            {"action": "insert", "rows": "top", "motifs_of": "x"},
            "motifs_of: only generated rows are written after motifs; remove this key",
        ),
        ({"action": "insert"}, "action: expected generate for motifs rows, found ins"),
        ({"target": "other"}, 'target: no target "other"; known: induction'),
        ({"motifs": "none.json"}, "motifs: none.json: "),
        (
            {"motifs": "rows.jsonl", "motifs_of": "x"},
            "motifs: names motifs, and so does mo",
        ),
        ({"motifs_of": "../x"}, "motifs_of: expected the name of an experiment"),
        ({"disjoint": True}, "disjoint: motifs rows are compared with no others"),
        ({"at": -1}, "at: "),
        ({"rows": "top"}, "action: expected remove or insert or "),
        (
            {"action": "remove", "rows": "top", "at": 3},
            "at: only insert and generate put rows at a step; remove this key",
        ),
    ],
)
def test_what_is_wrong_in_an_arm_is_one_line(arm, line: str, base: Path) -> None:
    found = problems(changed(("arms.own", {**ARM, **arm})), base)
    assert len(found) == 1
    assert found[0].startswith(f"c.yaml: arms.own.{line}")


def test_a_step_that_the_window_lacks_is_refused_where_the_config_is_read(base) -> None:
    given = ("window.start", 100), ("window.end", 200), ("curvature", {"rows": 9})
    fits = {**ARM, "at": 150, "fraction": 0.5}
    assert load(base, *given, ("arms.own", fits))["arms"]["own"]["at"] == 150
    [line] = problems(changed(*given, ("arms.own", {**ARM, "at": 200})), base)
    assert line.endswith("at: expected a step of the window, 100 to 199, found 200")
    [line] = problems(changed(*given, ("arms.own", {**fits, "at": 151})), base)
    assert "fraction: 0.5 of the window's rows fill 50.0 steps, but from step" in line


def test_an_edited_motif_file_is_another_arm(base: Path) -> None:
    arm = ("arms.own", {**ARM, "motifs": "mine.json"})
    (base / "mine.json").write_text(json.dumps(program()))
    before = load(base, arm)
    assert before == load(base, arm)
    (base / "mine.json").write_text(json.dumps(program(weight=2)))
    after = load(base, arm)
    found = [picked_identity(c, "own", 0) for c in (before, after)]
    assert found[0] != found[1]


def test_a_plan_counts_the_motifs_that_arms_wait_for(base: Path) -> None:
    def counts(*arms: dict) -> dict:
        config = load(base, ("arms", {f"a{n}": arm for n, arm in enumerate(arms)}))
        return count_jobs(Experiment(config, NO_SOURCES))

    random = {"action": "insert", "rows": "random", "fraction": 0.1}
    assert "catalysts" not in counts(random, {**ARM, "motifs_of": "another"})
    own = counts(random, ARM, {**ARM, "rows": "shuffled"})["catalysts"]
    assert own["find_motifs"] == 1
    assert own["measure_features"] == 1


# What it is compared with


ARMS = {
    "written": {**ARM, "draws": 1},
    "copies": {**ARM, "action": "insert", "rows": "top"},
    "chance": {"action": "insert", "rows": "random", "fraction": 0.1},
    "shuffled": {**ARM, "rows": "shuffled"},
    "records": {**ARM, "rows": "records"},
}


def test_fresh_rows_are_compared_with_all_that_may_explain_them() -> None:
    controls = controls_of("written", ARMS)
    assert controls == ["copies", "chance", "shuffled", "records"]
    assert controls_of("copies", ARMS) == ["chance"]
    more = {
        "other": {**ARMS["copies"], "target": "another"},
        "larger": {**ARMS["records"], "fraction": 0.2},
        "later": {**ARMS["records"], "at": 50},
        "matched": {**ARMS["copies"], "rows": "matched"},
        "removed": {**ARMS["copies"], "action": "remove"},
    }
    assert controls_of("written", ARMS | more) == controls
    later = {"written": {**ARMS["written"], "at": 50}}
    assert controls_of("written", ARMS | more | later) == ["later"]


def test_fresh_rows_are_predicted_to_help() -> None:
    signs = {c.metric: c.sign for c in claims(ARMS, "induction") if c.arm == "written"}
    assert signs["area"] == signs["natural_copy_gain"] == 1
    assert signs["half_way"] == signs["copyable_loss"] == -1


def test_the_controls_that_are_missing_are_told() -> None:
    import pandas as pd

    lines = pd.DataFrame({"arm": ["written"] * 2, "control": ["baseline", "records"]})
    assert uncontrolled(lines, ARMS) == {"written": ["chance", "top", "shuffled"]}


def test_the_labels_say_whose_motifs_they_are() -> None:
    arms = {
        name: {**ARMS["written"], **keys}
        for name, keys in {
            "own": {},
            "other": {"motifs_of": "small"},
            "file": {"motifs": "</b>.json"},
        }.items()
    }
    assert list(words.arm_labels(arms, {"induction": None}, "induction").values()) == [
        "insert 10 % of rows written after motifs",
        "insert 10 % of rows written after motifs (motifs of small)",
        "insert 10 % of rows written after motifs (motifs of a file)",
    ]


# Ready experiments

PAPER = {  # the step from which on so many rows stand
    "14m": (900, 100_000),
    "31m": (800, 20_000),
    "70m": (700, 20_000),
    "160m": (600, 10_000),
}


@pytest.mark.parametrize("size", PAPER)
def test_the_papers_augmentation_has_its_steps_and_counts(size: str, base) -> None:
    raw = [
        yaml.safe_load((ROOT / f"config/{name}-{size}.yaml").read_text("utf-8"))
        for name in ("motifs", "pythia")
    ]
    config = load_config(raw[0], "c.yaml", base)
    at, count = PAPER[size]
    window = config["window"]
    rows = (window["end"] - window["start"]) * config["training"]["batch_size"]
    assert window["start"] == at
    for arm in config["arms"].values():
        assert arm["at"] == at
        assert round(arm["fraction"] * rows) == count
    controls = ["shuffled", "repeats", "copies", "chance"]
    assert controls_of("of_14m", config["arms"]) == controls
    own = {"experiment", "targets", "window", "arms"}
    assert {key for key in raw[1] if raw[0].get(key) != raw[1][key]} == own


def test_the_study_across_sizes_makes_all_motifs_first() -> None:
    raw = yaml.safe_load((ROOT / "config/sizes.yaml").read_text("utf-8"))
    found = members(load_config(raw, "c.yaml", ROOT))
    assert motif_members(found) == ["small", "medium", "large"]
    for arm in ("of_small", "of_medium", "of_large"):
        controls = controls_of(arm, found["small"]["arms"])
        assert controls == ["shuffled", "repeats", "copies", "chance"]
