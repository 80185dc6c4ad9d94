"""The rule that ends a training: some steps after a head was found."""

import json

import pytest
import torch

from headwater.checkpoints.files import load_state
from headwater.checkpoints.schedule import checkpoint_steps, mark_ended
from headwater.identity import FORMAT
from headwater.steps import ENDED, step_name, step_numbers
from headwater.training.ranks import END, Ranks
from headwater.training.recipe import Recipe
from headwater.training.run import Run, Stopped, train_run
from headwater.training.stopping import StopRule
from tiny import random_rows, tiny_model

RECIPE = Recipe(0.01, 2, (0.9, 0.95), 1e-6, 0.0, 1.0)
SCHEDULE = checkpoint_steps(24, 4)  # 0, 1, 2, 4, 8, 12, 16, 20, 24
CONFIG = {"corpus": {"seq_len": 8}}


class Finder:
    """Finds a head from its `at`th look on, and remembers how often it looked."""

    def __init__(self, at):
        self.at, self.looks = at, 0

    def __call__(self, model):
        self.looks += 1
        return "L1H0" if self.looks >= self.at else None


def run_in(folder, stop):
    identity = {"format": FORMAT, "settings": {}}
    return Run("baseline", folder, SCHEDULE, True, identity, stop=stop)


def batch(step):
    return random_rows(4, seed=step), torch.ones(4)


def trained(folder, stop, ranks=None, start=None):
    start = start or tiny_model().float()
    train_run(run_in(folder, stop), start, RECIPE, batch, CONFIG, ranks)
    return [step for step, _ in step_numbers(folder.glob("step*"))]


@pytest.mark.parametrize(
    ("found_at", "after", "end"),
    [
        (3, 1, 8),  # the third look is at step 4
        (3, 4, 8),
        (3, 5, 12),
        (4, 9, 20),  # found at 8; 17 is no checkpoint, 20 is the next
        (8, 100, 24),  # no farther than the schedule
        (99, 1, 24),  # never found
    ],
)
def test_a_run_ends_so_many_steps_after(tmp_path, found_at, after, end):
    stop = StopRule(Finder(found_at), after, SCHEDULE)
    steps = trained(tmp_path, stop)
    assert steps == [step for step in SCHEDULE if step <= end]
    assert stop.end == end


def test_it_looks_at_checkpoints_only_and_no_more_once_found(tmp_path):
    find = Finder(3)
    trained(tmp_path, StopRule(find, 8, SCHEDULE))
    assert find.looks == 3


@pytest.mark.parametrize("killed_after", [1, 6, 9, 10])
def test_a_killed_run_ends_where_an_undisturbed_one_does(tmp_path, killed_after):
    """Killed before the head is found, between, and right at a checkpoint."""
    whole = trained(tmp_path / "whole", StopRule(Finder(4), 4, SCHEDULE))
    ranks, folder = Ranks(), tmp_path / "killed"

    def interrupted(step):
        if step == killed_after:
            ranks.wish = END
        return batch(step)

    stop = StopRule(Finder(4), 4, SCHEDULE)
    run, model = run_in(folder, stop), tiny_model().float()
    with pytest.raises(Stopped):
        train_run(run, model, RECIPE, interrupted, CONFIG, ranks)
    looked = stop.find.looks
    again = StopRule(Finder(4 - looked), 4, SCHEDULE)
    assert trained(folder, again) == whole
    assert again.found == 8
    last = step_name(whole[-1])
    found, expected = (tmp_path / name / last for name in ("killed", "whole"))
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    assert load_state(found, CONFIG).found == 8


def test_steps_after_the_end_are_marked_and_not_counted(tmp_path):
    for step in (0, 4):
        (tmp_path / step_name(step)).mkdir()
    mark_ended(tmp_path / step_name(8), 4)
    assert [step for step, _ in step_numbers(tmp_path.glob("step*"))] == [0, 4]
    text = (tmp_path / "step8" / ENDED).read_text()
    assert json.loads(text) == {"ended_at_step": 4}
