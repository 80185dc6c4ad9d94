"""The choice of heads and window, its rows."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch

from headwater.corpus.rowstore import RowBlock, RowWriter
from headwater.corpus.window import Window, WindowRows
from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.heads.scores import SCORES, scores_table
from headwater.heads.targets import (
    CONTROLS,
    Choice,
    Target,
    WindowChoice,
    choose_target,
    choose_window,
    curve_of,
    find_head,
    read_choice,
    read_target,
    read_window,
    rising_window,
    spread_points,
    write_choice,
)
from headwater.identity import identity
from headwater.stores import create_group
from test_corpus_support import small_config

# The window of a rise

STEPS = list(range(0, 2001, 50))


def sigmoid(middle: float, width: float = 60, low: float = 0.02, high: float = 0.9):
    values = low + (high - low) / (1 + np.exp(-(np.array(STEPS) - middle) / width))
    return list(zip(STEPS, values.tolist(), strict=True))


def share(curve, step: int) -> float:
    """How much of its rise the curve has made at a step."""
    values = dict(curve)
    low, high = min(values.values()), max(values.values())
    return (values[step] - low) / (high - low)


@pytest.mark.parametrize("middle", [500, 730, 1210])
@pytest.mark.parametrize("low", [0.02, -0.5])
def test_the_window_spans_the_rise_of_a_sigmoid(middle, low):
    curve = sigmoid(middle, low=low)
    window = rising_window(curve)
    assert share(curve, window.start) < 0.1 <= share(curve, window.start + 50)
    assert share(curve, window.end - 50) < 0.9 <= share(curve, window.end)
    assert window.start < middle < window.end
    assert isinstance(window.start, int)


def test_early_noise_does_not_open_the_window():
    quiet = sigmoid(1000)
    noisy = [(s, v + (0.25 if 100 <= s <= 250 else 0)) for s, v in quiet]
    assert rising_window(noisy) == rising_window(quiet)


def test_an_early_spike_does_not_close_the_window():
    curve = [(0, 0.0), (1, 0.95), (2, 0.0), (3, 0.5), (4, 1.0)]
    assert rising_window(curve) == Window(2, 4)


def test_a_fall_after_the_peak_does_not_move_the_window():
    rise = sigmoid(700)
    fallen = [(s, v if s <= 1500 else 0.01) for s, v in rise]
    window = rising_window(fallen)
    assert window.start < 700 < window.end <= 1500
    assert window == rising_window([(s, v) for s, v in rise if s <= 1500])


def test_the_rise_is_counted_from_the_lowest_value_before_the_peak():
    """It may fall first: then its low, not its first value, is where it begins."""
    curve = [(0, 0.3), (1, 0.0), (2, 0.05), (3, 0.2), (4, 0.85), (5, 0.95), (6, 1.0)]
    assert rising_window(curve) == Window(2, 5)


def test_a_step_function_has_a_window_of_one_checkpoint():
    assert rising_window([(0, 0.0), (8, 0.0), (16, 1.0), (32, 1.0)]) == Window(8, 16)
    assert rising_window([(0, 0.0), (8, 1.0)]) == Window(0, 8)


@pytest.mark.parametrize(
    "values", [[0.5, 0.5, 0.5], [0.9, 0.5, 0.1], [0.9, 0.1, 0.8], [0.3]]
)
def test_a_curve_that_never_rises_above_its_start_is_an_error(values):
    with pytest.raises(HeadwaterError, match=r"never rises .*window\.start"):
        rising_window(list(enumerate(values)))


# Targets


def table(**curves: list[float]) -> pd.DataFrame:
    """Prefix matching by head; the other scores run the other way."""
    lines = [
        {
            "step": 10 * place,
            "head": head,
            "prefix_matching": value,
            **dict.fromkeys(CONTROLS["prefix_matching"], 0.01),
            "previous_token": 1 - value,
            "copying": 0.0,
        }
        for head, values in curves.items()
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(lines).sort_values("step", kind="stable", ignore_index=True)


TABLE = table(
    L0H0=[0.9, 0.5, 0.3, 0.2, 0.1],
    L0H1=[0.0, 0.9, 0.9, 0.9, 0.2],
    L1H0=[0.0, 0.0, 0.1, 0.7, 0.8],
)
CONFIG = small_config(
    heads={"sequences": 4},
    model={
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 32,
        "architecture": "llama",
    },
    gradients={"mode": "qkvo"},
    targets={
        "copies": {"probe": "induction", "head": "auto"},
        "back": {"probe": "previous_token", "head": "auto"},
        "asked": {"probe": "induction", "head": "L0H0"},
        "ov": {"probe": "copying", "head": "L0H1"},
        "mine": {"probe": "dataset", "head": "L1H0", "data": "rows.jsonl"},
    },
    window={
        "target": "copies",
        "start": "auto",
        "end": "auto",
        "checkpoints": 1,
        "score_at": "start",
    },
)
CHECKPOINTS = [0, 10, 20, 30, 40]


def with_window(**window: object) -> dict:
    config = copy.deepcopy(CONFIG)
    config["window"].update(window)
    return config


def chosen_window(**window: object) -> WindowChoice:
    return choose_window(with_window(**window), TABLE, CHECKPOINTS)


def chosen_target(name: str) -> Target:
    return choose_target(CONFIG["targets"][name], TABLE, CONFIG)


def last_of(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["step"] == scores["step"].max()]


def test_a_run_that_was_to_end_with_a_head_and_has_none_is_refused():
    config = with_window()
    config["training"] = {"stop": {"after": 5}}
    assert choose_window(config, TABLE, CHECKPOINTS) == chosen_window()
    none = TABLE.assign(prefix_matching_before=TABLE["prefix_matching"] / 2)
    message = (
        r"no head was found by step 40, the last of the training: L1H0 has the highest "
        r"prefix_matching score, 0\.80 \(wanted: 0\.3, and 3 times its controls\), so "
    )
    with pytest.raises(HeadwaterError, match=message):
        choose_window(config, none, CHECKPOINTS)
    config["training"] = {"steps": 40}  # which says nothing of a head
    assert choose_window(config, none, CHECKPOINTS).window == chosen_window().window


def test_the_best_head_has_the_highest_score():
    best = find_head(last_of(TABLE), "prefix_matching")
    assert (best.head, best.score, best.found) == ("L1H0", 0.8, True)
    assert best.controls == dict.fromkeys(CONTROLS["prefix_matching"], 0.01)
    back = find_head(last_of(TABLE), "previous_token")
    assert (back.head, back.score, back.controls) == ("L0H0", 0.9, {})


def test_a_tie_goes_to_the_lower_head():
    heads = {f"L{layer}H{head}": [0.0, 0.5] for layer in (2, 10) for head in (2, 10)}
    last = last_of(table(L0H3=[1.0, 0.1], **heads))
    assert find_head(last, "prefix_matching").head == "L2H2"


@pytest.mark.parametrize("name", CONTROLS["prefix_matching"])
@pytest.mark.parametrize(("control", "found"), [(0.26, True), (0.27, False)])
def test_a_head_must_do_it_more_than_each_of_its_controls(name, control, found):
    """Of two heads the one that tells the right key from others is the better."""
    scores = last_of(table(L0H0=[0.8], L0H1=[0.31]))
    scores.loc[scores["head"] == "L0H0", name] = control
    best = find_head(scores, "prefix_matching")
    assert best.found
    assert best.head == ("L0H0" if found else "L0H1")
    judged = find_head(scores, "prefix_matching", ["L0H0"])
    assert (judged.head, judged.found) == ("L0H0", found)
    assert judged.controls[name] == control


def test_without_a_head_the_highest_is_told_and_not_found():
    low = find_head(last_of(table(L0H0=[0.1], L1H1=[0.29])), "prefix_matching")
    assert (low.head, low.score, low.found) == ("L1H1", 0.29, False)
    high = last_of(table(L0H0=[0.1], L1H1=[0.9])).assign(prefix_matching_after=0.5)
    blind = find_head(high, "prefix_matching")
    assert (blind.head, blind.found) == ("L1H1", False)


def test_a_curve_ascends_in_step():
    mixed = TABLE.sample(frac=1, random_state=0)
    curve = curve_of(mixed, "L1H0", "prefix_matching")
    assert curve == [(0, 0.0), (10, 0.0), (20, 0.1), (30, 0.7), (40, 0.8)]


def test_targets_are_found():
    copies, back, asked = map(chosen_target, ("copies", "back", "asked"))
    assert (copies.head, copies.chosen, copies.final) == ("L1H0", "auto", 0.8)
    assert (copies.probe, copies.score) == ("induction", "prefix_matching")
    assert copies.emergence == Window(10, 40)
    assert (copies.found, asked.found) == (True, False)
    assert copies.controls == dict.fromkeys(CONTROLS["prefix_matching"], 0.01)
    assert (back.head, back.score, back.final) == ("L0H0", "previous_token", 0.9)
    assert (asked.head, asked.chosen, asked.emergence) == ("L0H0", "given", None)


def test_a_given_head_is_tracked_by_its_probes_score():
    copier, mine = chosen_target("ov"), chosen_target("mine")
    assert (copier.probe, copier.head, copier.score) == ("copying", "L0H1", "copying")
    assert (copier.chosen, copier.final, copier.emergence) == ("given", 0.0, None)
    assert (mine.probe, mine.head, mine.chosen) == ("dataset", "L1H0", "given")
    assert mine.final == TABLE.query("head == 'L1H0'")[mine.score].iloc[-1]


def test_the_window_is_that_of_its_targets_rise():
    found = chosen_window()
    assert (found.window, found.chosen) == (Window(10, 40), "auto")
    assert found.window == chosen_target("copies").emergence
    assert found.points == [10]


@pytest.mark.parametrize(
    ("given", "window", "chosen"),
    [
        ({"start": 0, "end": 20}, Window(0, 20), "given"),
        ({"start": 20}, Window(20, 40), "auto"),
        ({"end": 30}, Window(10, 30), "auto"),
        ({"start": 0, "end": 20, "target": "asked"}, Window(0, 20), "given"),
    ],
)
def test_a_window_may_be_given_whole_or_in_part(given, window, chosen):
    choice = chosen_window(**given)
    assert choice.window == window
    assert choice.chosen == chosen
    assert choice.points == [window.start]


@pytest.mark.parametrize("given", [{"start": 40}, {"end": 10}, {"end": 0}])
def test_a_window_that_ends_before_it_starts_is_an_error(given):
    with pytest.raises(HeadwaterError, match=r"is not before end .*window\.end"):
        chosen_window(**given)


def test_a_window_cannot_be_found_for_a_head_that_does_not_rise():
    with pytest.raises(HeadwaterError, match="never rises"):
        chosen_window(target="asked")


# Points of the window


@pytest.mark.parametrize(
    ("count", "points"),
    [
        (1, [100]),
        (2, [100, 300]),
        (4, [100, 200, 300, 400]),
        (3, [100, 200, 350]),  # 100, 233 and 366: each at the checkpoint before
        (8, [100, 150, 200, 250, 300, 350, 400, 450]),
    ],
)
def test_points_are_spread_evenly_from_the_start_to_before_the_end(count, points):
    found = spread_points(Window(100, 500), count, STEPS)
    assert found == points
    assert all(isinstance(step, int) for step in found)


def test_points_are_checkpoints_where_these_are_uneven():
    assert spread_points(Window(16, 64), 2, [0, 8, 16, 32, 64]) == [16, 32]
    assert spread_points(Window(0, 64), 3, [0, 8, 16, 32, 40, 64]) == [0, 16, 40]


@pytest.mark.parametrize(("window", "count"), [((100, 500), 9), ((100, 150), 2)])
def test_a_window_with_too_few_checkpoints_says_what_to_change(window, count):
    start, end = window
    with pytest.raises(HeadwaterError) as caught:
        spread_points(Window(start, end), count, STEPS)
    assert str(caught.value) == (
        f"window.checkpoints: {count} wanted, but the window, steps {start} to {end}, "
        "has too few; lower it or training.checkpoint_every"
    )


def test_the_windows_points_follow_the_config():
    assert chosen_window(checkpoints=3).points == [10, 20, 30]
    assert chosen_window(checkpoints=2, start=0, end=40).points == [0, 20]
    with pytest.raises(HeadwaterError, match=r"window\.checkpoints: 4 wanted"):
        chosen_window(checkpoints=4)
    assert chosen_window(score_at="end").points == [40]


def test_roles_name_the_ends_and_the_points():
    found = chosen_window(checkpoints=2, start=0, end=40)
    assert found.roles(["start", "point1"]) == {"start": 0, "point1": 20, "end": 40}
    end = chosen_window(score_at="end")
    assert end.roles(["end"]) == {"start": 10, "end": 40}


# On disk


def stored(folder, *names: str) -> tuple:
    """The window and some targets on disk: the window's path, the targets' paths."""
    window = folder / "window.json"
    write_choice(window, chosen_window(checkpoints=2), identity("window", CONFIG))
    paths = [folder / f"{name}.json" for name in names]
    for name, path in zip(names, paths, strict=True):
        write_choice(path, chosen_target(name), identity("heads", CONFIG, [name]))
    return window, paths


def test_window_and_targets_come_back_from_disk(tmp_path):
    window, (copies, asked) = stored(tmp_path, "copies", "asked")
    config = json.loads(json.dumps(CONFIG))
    assert read_window(window, config) == chosen_window(checkpoints=2)
    assert read_target(copies, config) == chosen_target("copies")
    assert read_target(asked, config) == chosen_target("asked")
    assert read_target(asked, config).emergence is None


def test_a_choice_is_the_window_and_all_targets_by_name(tmp_path):
    window, paths = stored(tmp_path, "back", "copies", "mine")
    found = read_choice(window, iter(paths), CONFIG)
    names = ["back", "copies", "mine"]
    expected = {name: chosen_target(name) for name in names}
    assert found == Choice(Window(10, 40), "auto", expected)
    assert list(found.targets) == names


def test_another_config_is_refused(tmp_path):
    window, paths = stored(tmp_path, "copies", "back")
    other = {**CONFIG, "seed": 1}
    for read in (
        lambda: read_window(window, other),
        lambda: read_target(paths[0], other),
        lambda: read_choice(window, paths, other),
    ):
        with pytest.raises(HeadwaterError, match="seed is 0 there, 1 here"):
            read()
    moved = with_window(start=20)
    assert read_target(paths[1], moved) == chosen_target("back")
    with pytest.raises(HeadwaterError, match=r"window\.start is 'auto' there, 20"):
        read_window(window, moved)


def test_a_changed_target_is_refused_and_the_others_are_not(tmp_path):
    window, (copies, back) = stored(tmp_path, "copies", "back")
    config = copy.deepcopy(CONFIG)
    config["targets"]["back"]["head"] = "L0H1"
    config["targets"]["new"] = {"probe": "copying", "head": "auto"}
    assert read_window(window, config).window == Window(10, 40)
    assert read_target(copies, config) == chosen_target("copies")
    with pytest.raises(HeadwaterError, match=r"targets\.back\.head is 'auto' there"):
        read_target(back, config)


def test_the_table_of_scores_goes_by_layer_and_head():
    heads = [Head(1, 0), Head(0, 10), Head(0, 2)]
    values = {name: dict(zip(heads, (1.0, 2.0, 3.0), strict=True)) for name in SCORES}
    found = scores_table(8, values)
    assert list(found.columns) == ["step", "head", *SCORES]
    assert found["head"].tolist() == ["L0H2", "L0H10", "L1H0"]
    assert found["copying"].tolist() == [3, 2, 1]
    assert found["step"].tolist() == [8, 8, 8]


# The rows of the window: steps 3 to 7 of 10 steps with batches of 8

NAMES = ["code", "prose", "records"]
ALL = np.random.default_rng(0).integers(0, 300, (80, 17)).astype(np.uint16)
DOMAINS = np.random.default_rng(1).integers(0, 3, 80).astype(np.uint8)
WINDOW = Window(3, 7)


def window_rows(folder, window: Window = WINDOW) -> WindowRows:
    """Training rows on disk in two shards, and the window on them."""
    config, paths = small_config(), []
    for part in (slice(0, 30), slice(30, 80)):
        paths.append(folder / f"{part.start:04d}.zarr")
        group = create_group(
            paths[-1],
            identity("corpus", config),
            sources=["s"],
            domains=NAMES,
            first_row=part.start,
            total_rows=80,
        )
        tokens, domain = ALL[part], DOMAINS[part]
        ones = np.ones(len(tokens), np.int64)
        spans = np.ones((len(tokens), 6), np.int64)
        writer = RowWriter(group, 17, tokens.dtype)
        writer.append(RowBlock(tokens, domain, ones, spans))
        writer.close()
    return WindowRows(paths, window, config)


def test_the_window_numbers_its_rows_from_its_first(tmp_path):
    window = window_rows(tmp_path)
    assert len(window) == 4 * 8
    assert window.first == 24
    numbers = np.array([31, 0, 6, 5, 0])  # across the two shards, one row twice
    np.testing.assert_array_equal(window.take(numbers), ALL[24 + numbers])
    np.testing.assert_array_equal(window.tokens(range(4, 9)), ALL[28:33])
    np.testing.assert_array_equal(window.domains(), DOMAINS[24:56])
    assert window.step_of(np.array([0, 7, 8, 31])).tolist() == [3, 3, 4, 6]


def test_a_part_of_the_window_is_sliced_like_a_sequence(tmp_path):
    part = window_rows(tmp_path).part(range(5, 20))
    assert len(part) == 15
    np.testing.assert_array_equal(part[0:4], ALL[29:33])
    np.testing.assert_array_equal(part[10:20], ALL[39:44])  # to its own end only
    assert part[4:8].dtype == torch.int64


@pytest.mark.parametrize(
    ("step", "part", "after"),
    [
        (3, range(0, 32), range(0, 32)),  # at the window's start, every row
        (5, range(0, 32), range(16, 32)),
        (5, range(20, 28), range(20, 28)),  # a part wholly after it
        (5, range(10, 20), range(16, 20)),
        (5, range(4, 12), range(12, 12)),  # a part wholly before it
        (6, range(0, 24), range(24, 24)),
        (7, range(0, 32), range(0, 32)),  # the end looks back on all of them
        (7, range(4, 12), range(4, 12)),
    ],
)
def test_rows_are_scored_at_the_checkpoints_before_them(tmp_path, step, part, after):
    window = window_rows(tmp_path)
    found = window.after(step, part)
    assert (found.start, found.stop) == (after.start, after.stop)
    if step < 7:
        assert list(found) == [n for n in part if window.step_of(np.array(n)) >= step]
    kept = window.is_after(step, np.array(part))
    assert np.array(part)[kept].tolist() == list(after)


def test_rows_may_be_asked_for_in_any_order(tmp_path):
    numbers = np.array([31, 0, 16, 15, 16])
    found = window_rows(tmp_path).is_after(5, numbers)
    assert found.tolist() == [True, False, True, False, True]


def test_messages_number_the_rows_of_the_whole_training(tmp_path):
    window = window_rows(tmp_path)
    assert window.numbers(range(4, 9)) == range(28, 33)
    picked = window.numbers(np.array([31, 0, 6]))
    assert picked.tolist() == [55, 24, 30]
    np.testing.assert_array_equal(window.take(np.array([31, 0, 6])), ALL[picked])
